package triage

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is how much of a line is read. The kernel's are shorter than 8 KiB (package kmsg),
// and an entry of a journal has one of them and what journald knows of it.
const maxLine = 64 << 10

// lineReader hands over the lines of anything, of any length, in bounded memory.
type lineReader struct {
	in     *bufio.Reader
	line   []byte
	number uint64 // of the line
	cut    uint64 // lines that were longer than maxLine
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, maxLine), line: make([]byte, 0, maxLine)}
}

// next returns the next line without its end, which is valid until the next call. It is io.EOF
// after the last.
func (r *lineReader) next() ([]byte, error) {
	r.line = r.line[:0]
	cut, some := false, false
	for {
		part, err := r.in.ReadSlice('\n')
		some = some || len(part) > 0
		part = withoutNULs(part)
		room := maxLine - len(r.line)
		if len(part) > room {
			part, cut = part[:room], true
		}
		r.line = append(r.line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && some, err == nil:
			r.number++
			if cut {
				r.cut++
			}
			return bytes.TrimRight(r.line, "\r\n"), nil
		default:
			return nil, err
		}
	}
}

// withoutNULs takes them away. A file system may leave a run of them of any length where the
// machine died; and with one in each character, a text is in UTF-16.
func withoutNULs(part []byte) []byte {
	if bytes.IndexByte(part, 0) < 0 {
		return part
	}
	return bytes.ReplaceAll(part, []byte{0}, nil)
}

// exactly reads n bytes, whatever they are, of which at most maxLine are returned.
func (r *lineReader) exactly(n uint64) ([]byte, error) {
	r.line = r.line[:0]
	for n > 0 {
		part := min(n, maxLine)
		chunk := make([]byte, part)
		got, err := io.ReadFull(r.in, chunk)
		r.number += uint64(bytes.Count(chunk[:got], []byte("\n")))
		if room := maxLine - len(r.line); room > 0 {
			r.line = append(r.line, chunk[:min(got, room)]...)
		}
		if err != nil {
			return nil, err
		}
		n -= part
	}
	return r.line, nil
}
