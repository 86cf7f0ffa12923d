package image

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// banner is what a kernel's version begins with in its image (init/version.c,
// linux_banner; "Linux version %s" in its copies for printing comes earlier or later).
var banner = []byte("Linux version ")

// maxRelease is what __NEW_UTS_LEN allows.
const maxRelease = 64

// Release reads from an image of which release it is: of a bzImage in its header, of an
// ELF image in its banner. It is empty where it is not told.
func Release(path string) (string, error) {
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
