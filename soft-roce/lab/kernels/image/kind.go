package image

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Kind is how QEMU boots an image.
type Kind int

// The kinds.
const (
	BzImage       Kind = iota // as the kernel's build packs it, which unpacks itself
	ELF                       // a vmlinux, by its PVH entry
	ELFWithoutPVH             // a vmlinux without one: not at all
)

// KindOf tells what an image is, and refuses one that is not for the lab's guests.
func KindOf(path string) (Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 0x250)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, err
	}
	head = head[:n]
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(0x202, "HdrS"):
		// XLF_KERNEL_64, of boot protocol 2.12 (Documentation/arch/x86/boot.rst).
		if len(head) >= 0x238 && binary.LittleEndian.Uint16(head[0x206:]) >= 0x20c && head[0x236]&1 == 0 {
			return 0, errors.New("it is a 32-bit kernel, and the lab's guests are amd64")
		}
		return BzImage, nil
	case at(0, "\x7fELF"):
		return elfKind(f)
	case at(0x38, "ARM\x64"): // Documentation/arch/arm64/booting.rst
		return 0, errors.New("it is a kernel for arm64, and the lab's guests are amd64")
	case at(4, "zimg"): // drivers/firmware/efi/libstub/zboot-header.S
		return 0, errors.New("it is a compressed kernel for another machine, and the lab's guests are amd64")
	}
	return 0, errors.New("it is no image of a kernel for amd64: neither a bzImage nor an ELF file")
}

func elfKind(r io.ReaderAt) (Kind, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return 0, fmt.Errorf("it is a damaged ELF file: %w", err)
	}
	if f.Machine != elf.EM_X86_64 {
		return 0, fmt.Errorf("it is a kernel for %s, and the lab's guests are amd64", strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_")))
	}
	if err := checkPVH(r); err != nil {
		return ELFWithoutPVH, nil
	}
	return ELF, nil
}
