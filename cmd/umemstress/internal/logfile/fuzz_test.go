package logfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// most is how much is read of what a fuzzed log unpacks to: a few bytes can be gigabytes.
const most = 1 << 20

// What is handed over for a log reads as what it is, or is refused with its name; a packed one as
// what was packed, and of one that was cut off there is nothing that was not in it.
func FuzzUnpack(f *testing.F) {
	for _, seed := range []string{
		"", "a", log, "LPKSHHRH", "\x1f\x8b", "\x1f\x8b\x08\x1f\x00\x00\x00\x00\x00\xff\xff\xff", "BZh9", "BZh91AY&SY", "\x28\xb5\x2f\xfd\x04\xff\xff\xff",
		"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff", string(gzipped(log)),
	} {
		f.Add([]byte(seed), uint16(len(seed)/2))
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		read := func(in []byte) ([]byte, error) {
			r, err := Unpack(bytes.NewReader(in), "x.log")
			if err != nil {
				if !strings.Contains(err.Error(), "x.log") {
					t.Errorf("%q does not tell what it is about", err)
				}
				return nil, err
			}
			got, err := io.ReadAll(io.LimitReader(r, most))
			if errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: what is cut off is no error", in)
			}
			return got, err
		}
		if got, err := read(in); err == nil && !packed(in) && !bytes.Equal(got, in) {
			t.Errorf("%q reads as %q", in, got)
		}
		for _, whole := range [][]byte{gzipped(string(in)), encoder.EncodeAll(in, nil)} {
			if got, err := read(whole); err != nil || !bytes.Equal(got, in) {
				t.Errorf("%q packed as %q reads as %q, %v", in, whole, got, err)
			}
			if got, err := read(whole[:int(cut)%(len(whole)+1)]); err == nil && packed(whole[:int(cut)%(len(whole)+1)]) && !bytes.HasPrefix(in, got) {
				t.Errorf("%q cut off reads as %q", in, got)
			}
		}
	})
}

func packed(in []byte) bool {
	for _, magic := range []string{"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(in, []byte(magic)) {
			return true
		}
	}
	return false
}
