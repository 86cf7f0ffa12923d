package nfsd

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// call is a call of RPC with its mark, as the kernel's client sends it.
func call(program, procedure uint32, args ...uint32) []byte {
	words := append([]uint32{7, 0, 2, program, 3, procedure, 0, 0, 0, 0}, args...) // two empty opaque_auth
	record := binary.BigEndian.AppendUint32(nil, uint32(4*len(words))|lastFragment)
	for _, w := range words {
		record = binary.BigEndian.AppendUint32(record, w)
	}
	return record
}

// handle is that of the file, in READ3args.
func handle() []uint32 { return []uint32{4, binary.BigEndian.Uint32([]byte(handleFile))} }

func read(at, length uint32) []byte {
	return call(programNFS, procRead, append(handle(), 0, at, length)...)
}

func TestAsksFor(t *testing.T) {
	for name, tt := range map[string]struct {
		record []byte
		bytes  int64
	}{
		"a read":          {read(4096, 1<<20), 1 << 20},
		"attributes":      {call(programNFS, 1, handle()...), 0},
		"a mount's":       {call(100005, procRead, 0, 0, 4096), 0},
		"an answer":       {append(binary.BigEndian.AppendUint32(read(0, 1)[:8:8], 1), read(0, 1)[12:]...), 0},
		"nothing":         {make([]byte, markBytes), 0},
		"one that is cut": {read(0, 4096)[:markBytes+24], 0},
	} {
		if got := asksFor(tt.record); got != tt.bytes {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.bytes)
		}
	}
}

// FuzzRecord reads what any program of the machine's root may send.
func FuzzRecord(f *testing.F) {
	f.Add(read(0, 4096))
	f.Add(call(100005, 1, 1, '/'<<24))
	f.Add([]byte{0x80, 0, 0, 0})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, sent []byte) {
		record, err := readRecord(bytes.NewReader(sent))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(sent, record) || len(record) > markBytes+maxRecord {
			t.Errorf("%d bytes for %d", len(record), len(sent))
		}
		if n := asksFor(record); n < 0 || n > 1<<32 {
			t.Errorf("asks for %d bytes", n)
		}
	})
}
