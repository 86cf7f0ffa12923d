package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
)

// maxConfig is some times what the largest configuration has in bytes.
const maxConfig = 8 << 20

// Config returns the configuration that a kernel with CONFIG_IKCONFIG=y has within it,
// in its unpacked image (kernel/configs.c): nothing if there is none.
func Config(elfImage string) ([]byte, error) {
	f, err := os.Open(elfImage)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mark := []byte("IKCFG_ST\x1f\x8b")
	in := bufio.NewReaderSize(f, 1<<20)
	for {
		window, err := in.Peek(in.Size())
		if at := bytes.Index(window, mark); at >= 0 {
			in.Discard(at + len(mark) - 2)
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		in.Discard(len(window) - len(mark))
	}
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, nil // the mark was not one
	}
	unpacked.Multistream(false)
	text, err := io.ReadAll(io.LimitReader(unpacked, maxConfig))
	if err != nil {
		return nil, nil
	}
	return text, nil
}
