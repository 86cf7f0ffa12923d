package labtest

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// PVHImage is the least that is taken for a kernel with a PVH entry: an ELF header and
// one segment of notes.
func PVHImage() []byte {
	const headers, notes = 64 + 56, 24
	var b bytes.Buffer
	le := binary.LittleEndian
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, field := range []any{
		uint16(elf.ET_EXEC), uint16(elf.EM_X86_64), uint32(1),
		uint64(0), uint64(64), uint64(0), // entry, program headers, sections
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(elf.PT_NOTE), uint32(elf.PF_R), uint64(headers), uint64(0), uint64(0),
		uint64(notes), uint64(notes), uint64(4),
		uint32(4), uint32(8), uint32(18), [4]byte{'X', 'e', 'n', 0}, uint64(0x1000000),
	} {
		binary.Write(&b, le, field) // never fails: all have a size
	}
	return b.Bytes()
}

// BzImage makes an image whose payload begins at offset 0x100 of its protected
// part.
func BzImage(payload []byte) []byte {
	const sectors = 3
	image := make([]byte, (sectors+1)*512+0x100)
	image[0x1f1] = sectors
	copy(image[0x202:], "HdrS")
	le := binary.LittleEndian
	le.PutUint16(image[0x206:], 0x20f)
	le.PutUint32(image[0x248:], 0x100)
	le.PutUint32(image[0x24c:], uint32(len(payload)))
	return append(image, payload...)
}

// IKConfig is what CONFIG_IKCONFIG puts into a kernel.
func IKConfig(t *testing.T, config string) string {
	t.Helper()
	var packed bytes.Buffer
	packed.WriteString("IKCFG_ST")
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(config)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed.WriteString("IKCFG_ED")
	return packed.String()
}
