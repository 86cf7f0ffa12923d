package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestPayload(t *testing.T) {
	want := []byte("payload and size")
	got, err := bzPayload(append(labtest.BzImage(want), "rest"...))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("bzPayload = %q, %v", got, err)
	}
	cut := labtest.BzImage(want)
	old := labtest.BzImage(want)
	binary.LittleEndian.PutUint16(old[0x206:], 0x207)
	for name, image := range map[string][]byte{
		"cut off": cut[:len(cut)-1], "old protocol": old, "empty": nil, "no image": make([]byte, 4096),
	} {
		if _, err := bzPayload(image); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDecompress(t *testing.T) {
	want := bytes.Repeat([]byte("kernel "), 1000)
	cmd := exec.Command("xz", "--check=crc32", "--x86", "--lzma2") // as the kernel's build does
	cmd.Stdin = bytes.NewReader(want)
	xz, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz: %v", err)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var gzipped bytes.Buffer
	w := gzip.NewWriter(&gzipped)
	if _, err := w.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sizeless := gzipped.Bytes()[:gzipped.Len()-4] // it ends in the size itself
	for _, packed := range [][]byte{xz, encoder.EncodeAll(want, nil), sizeless} {
		sized := func(size int) []byte {
			return binary.LittleEndian.AppendUint32(bytes.Clone(packed), uint32(size))
		}
		got, err := decompress(t.Context(), sized(len(want)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x…: %d bytes, %v", packed[:4], len(got), err)
		}
		for _, size := range []int{0, len(want) - 1, len(want) + 1} {
			if _, err := decompress(t.Context(), sized(size)); err == nil {
				t.Errorf("%x…: taken as of %d bytes", packed[:4], size)
			}
		}
	}
	if _, err := decompress(t.Context(), []byte("unknown format")); err == nil {
		t.Error("an unknown format was taken")
	}
	if err := checkPVH(strings.NewReader("no ELF")); err == nil {
		t.Error("a kernel that is no ELF image has a PVH entry")
	}
}
