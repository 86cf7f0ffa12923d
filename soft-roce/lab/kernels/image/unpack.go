package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"umemstress/soft-roce/lab/internal/host"
)

// Unpack unpacks the kernel in a bzImage, so that the guest need not do it
// at each boot, which takes seconds under software emulation. QEMU boots an ELF
// image through its PVH entry (Documentation/arch/x86/boot.rst tells the layout
// of a bzImage).
func Unpack(ctx context.Context, bzImage, elfImage string) error {
	raw, err := os.ReadFile(bzImage)
	if err != nil {
		return err
	}
	payload, err := bzPayload(raw)
	if err != nil {
		return err
	}
	kernel, err := decompress(ctx, payload)
	if err != nil {
		return err
	}
	if err := checkPVH(bytes.NewReader(kernel)); err != nil {
		return err
	}
	return os.WriteFile(elfImage, kernel, 0o644)
}

// bzPayload returns the compressed kernel in a bzImage of boot protocol 2.08 or
// newer.
func bzPayload(image []byte) ([]byte, error) {
	const headerEnd = 0x250
	if len(image) < headerEnd || string(image[0x202:0x206]) != "HdrS" {
		return nil, errors.New("not a bzImage")
	}
	le := binary.LittleEndian
	if version := le.Uint16(image[0x206:]); version < 0x208 {
		return nil, fmt.Errorf("boot protocol %#x has no payload offset", version)
	}
	sectors := int(image[0x1f1]) // setup_sects
	if sectors == 0 {
		sectors = 4
	}
	start := uint64(sectors+1)*512 + uint64(le.Uint32(image[0x248:])) // payload_offset
	end := start + uint64(le.Uint32(image[0x24c:]))                   // payload_length
	if end > uint64(len(image)) || end-start < 8 {
		return nil, errors.New("the bzImage is cut off")
	}
	return image[start:end], nil
}

// decompress unpacks a payload. Its last four bytes are its unpacked size
// (scripts/Makefile.lib, size_append), which bounds what is unpacked.
func decompress(ctx context.Context, payload []byte) ([]byte, error) {
	packed := payload[:len(payload)-4]
	size := int64(binary.LittleEndian.Uint32(payload[len(packed):]))
	switch {
	case bytes.HasPrefix(packed, []byte("\xfd7zXZ\x00")):
		// The kernel is packed with xz's filter for x86 code, which the Go
		// packages for xz do not have.
		kernel := &bounded{most: size}
		call := host.Call{In: bytes.NewReader(packed), Out: kernel}
		if _, err := host.XZ.RunAs(ctx, call, "-dc", "--single-stream"); err != nil {
			return nil, err
		}
		return readExactly(kernel, size)
	case bytes.HasPrefix(packed, []byte("\x28\xb5\x2f\xfd")):
		d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(1<<31))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return readExactly(d, size)
	case bytes.HasPrefix(packed, []byte("\x1f\x8b")):
		// Nothing is appended: gzip's own format ends in the size.
		d, err := gzip.NewReader(bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		return readExactly(d, size)
	}
	return nil, fmt.Errorf("unknown compression %x", packed[:4])
}

// bounded takes no more than it is to have.
type bounded struct {
	bytes.Buffer
	most int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.most {
		return 0, errors.New("the kernel unpacks to more than it says")
	}
	return b.Buffer.Write(p)
}

// readExactly reads to the end, which has to be after size bytes.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	kernel, err := io.ReadAll(io.LimitReader(r, size+1))
	if err == nil && int64(len(kernel)) != size {
		err = fmt.Errorf("the kernel does not unpack to the %d bytes that it says", size)
	}
	return kernel, err
}

// checkPVH looks for the note that names the PVH entry
// (XEN_ELFNOTE_PHYS32_ENTRY, xen/interface/elfnote.h).
func checkPVH(image io.ReaderAt) error {
	f, err := elf.NewFile(image)
	if err != nil {
		return err
	}
	const phys32Entry = 18
	note := []byte("\x04\x00\x00\x00\x08\x00\x00\x00" + string(rune(phys32Entry)) + "\x00\x00\x00Xen\x00")
	const maxNotes = 1 << 20 // a kernel has less than 4 KiB
	for _, prog := range f.Progs {
		if prog.Type != elf.PT_NOTE || prog.Filesz > maxNotes {
			continue
		}
		raw, err := io.ReadAll(prog.Open())
		if err != nil {
			return err
		}
		if bytes.Contains(raw, note) {
			return nil
		}
	}
	return errors.New("the kernel has no PVH entry")
}
