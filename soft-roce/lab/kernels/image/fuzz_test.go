package image

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"

	"umemstress/soft-roce/lab/internal/labtest"
)

// FuzzImage takes a file for a kernel, as --kernel does. The decompressor of xz is a
// program of its own, which is not what is tested here.
func FuzzImage(f *testing.F) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	elfImage := labtest.PVHImage()
	if err := checkPVH(bytes.NewReader(elfImage)); err != nil {
		f.Fatal(err)
	}
	packed := encoder.EncodeAll(elfImage, nil)
	f.Add(labtest.BzImage(binary.LittleEndian.AppendUint32(packed, uint32(len(elfImage)))))
	f.Add(labtest.BzImage(append(packed, 0xff, 0xff, 0xff, 0xff)))
	f.Add(labtest.BzImage([]byte("unknown compression")))
	f.Add(elfImage)
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkPVH(bytes.NewReader(raw))
		payload, err := bzPayload(raw)
		if err != nil {
			return
		}
		if len(payload) < 8 || len(payload) > len(raw) {
			t.Fatalf("a payload of %d bytes out of %d", len(payload), len(raw))
		}
		if bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")) {
			return
		}
		size := binary.LittleEndian.Uint32(payload[len(payload)-4:])
		if size > 1<<20 {
			return
		}
		kernel, err := decompress(t.Context(), payload)
		if err == nil && len(kernel) != int(size) {
			t.Errorf("%d bytes, not the %d that the image says", len(kernel), size)
		}
		checkPVH(bytes.NewReader(kernel))
	})
}
