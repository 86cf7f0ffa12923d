package kernels

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// banner is what a kernel's version begins with in its image (init/version.c,
// linux_banner; "Linux version %s" in its copies for printing comes earlier or later).
var banner = []byte("Linux version ")

// maxRelease is what __NEW_UTS_LEN allows.
const maxRelease = 64

// imageRelease reads from an image of which release it is: of a bzImage in its header, of an
// ELF image in its banner. It is empty where it is not told.
func imageRelease(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	if len(head) >= 0x210 && string(head[0x202:0x206]) == "HdrS" {
		// kernel_version, an offset from 0x200; 0: none (Documentation/arch/x86/boot.rst).
		at := int(binary.LittleEndian.Uint16(head[0x20e:]))
		if at == 0 || 0x200+at >= len(head) {
			return "", nil
		}
		return word(head[0x200+at:]), nil
	}
	if !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return "", nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return releaseInBanner(f)
}

// releaseInBanner looks for the first banner that has a release, and no format, in it.
func releaseInBanner(r io.Reader) (string, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		window, err := in.Peek(in.Size())
		if at := bytes.Index(window, banner); at >= 0 && at+len(banner)+maxRelease <= len(window) || at >= 0 && err != nil {
			if release := word(window[at+len(banner):]); release != "" && release[0] != '%' {
				return release, nil
			}
			in.Discard(at + len(banner))
			continue
		}
		if errors.Is(err, io.EOF) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		in.Discard(len(window) - len(banner) - maxRelease)
	}
}

// word is the text up to a space or a zero.
func word(text []byte) string {
	text = text[:min(len(text), maxRelease+1)]
	if end := bytes.IndexAny(text, " \x00\n"); end >= 0 {
		return string(text[:end])
	}
	return ""
}

// imageKind is how QEMU boots an image.
type imageKind int

const (
	bzImageKind imageKind = iota
	elfWithPVH
	elfWithoutPVH // not at all
)

// kindOf tells what an image is, and refuses one that is not for the lab's guests.
func kindOf(path string) (imageKind, error) {
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
		return bzImageKind, nil
	case at(0, "\x7fELF"):
		return elfKind(f)
	case at(0x38, "ARM\x64"): // Documentation/arch/arm64/booting.rst
		return 0, errors.New("it is a kernel for arm64, and the lab's guests are amd64")
	case at(4, "zimg"): // drivers/firmware/efi/libstub/zboot-header.S
		return 0, errors.New("it is a compressed kernel for another machine, and the lab's guests are amd64")
	}
	return 0, errors.New("it is no image of a kernel for amd64: neither a bzImage nor an ELF file")
}

func elfKind(r io.ReaderAt) (imageKind, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return 0, fmt.Errorf("it is a damaged ELF file: %w", err)
	}
	if f.Machine != elf.EM_X86_64 {
		return 0, fmt.Errorf("it is a kernel for %s, and the lab's guests are amd64", strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_")))
	}
	if err := checkPVH(r); err != nil {
		return elfWithoutPVH, nil
	}
	return elfWithPVH, nil
}
