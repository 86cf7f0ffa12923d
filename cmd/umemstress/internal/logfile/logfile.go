// Package logfile opens what people hand over as a log: files and pipes, packed or not. What is
// another sort of thing is refused, with what makes a log of it.
package logfile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/term"
)

// usage marks an error as the caller's: what was handed over is no log.
type usage struct{ error }

func (usage) Usage() bool     { return true }
func (u usage) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// Read hands the log of that path, or of stdin where it is "-", to read, and leaves it alone when
// ctx ends: a pipe may never come to its end.
func Read[T any](ctx context.Context, path string, stdin io.Reader, read func(context.Context, io.Reader) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := open(ctx, path, stdin, read)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func open[T any](ctx context.Context, path string, stdin io.Reader, read func(context.Context, io.Reader) (T, error)) (none T, _ error) {
	in, name := stdin, "standard input"
	if path != "-" {
		f, err := Open(path)
		if err != nil {
			return none, err
		}
		defer f.Close()
		in, name = f, path
	} else if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return none, usagef("standard input is a terminal; give it a log, as in: journalctl -k -o export | umemstress triage -")
	}
	plain, err := Unpack(in, name)
	if err != nil {
		return none, err
	}
	value, err := read(ctx, plain)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", name, err)
	}
	return value, nil
}

// Open opens a file or a pipe.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path) // before it is opened, which alone may do something to a device
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: there is no such file; name a log, or - for standard input", path)
	} else if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, usagef("%s: it is a directory; name the log in it", path)
	case !mode.IsRegular() && mode&fs.ModeNamedPipe == 0:
		return nil, usagef("%s: it is no file and no pipe; of this machine's own log, 'dmesg | umemstress triage -' reads what there is", path)
	}
	return os.Open(path)
}

// maxWindow is how much memory a packed log may ask for.
const maxWindow = 64 << 20

// others are things that begin so and are no logs, and what makes a log of them.
var others = []struct{ magic, is string }{
	{"LPKSHHRH", "is a journal's file: journalctl --file=%[1]s -k -o export | umemstress triage -"},
	{"KDUMP   ", "is a dump of memory: vmcore-dmesg, or the command log of crash, has the log out of it"},
	{"\x7fELF", "is a dump of memory, or a program: vmcore-dmesg, or the command log of crash, has the log out of a dump"},
	{"\xfd7zXZ\x00", "is packed with xz: xz -dc %[1]s | umemstress triage -"},
	{"\x04\"M\x18", "is packed with lz4: lz4 -dc %[1]s | umemstress triage -"},
	{"PK\x03\x04", "is a zip file: unzip -p %[1]s | umemstress triage -"},
	{"%PDF-", "is no text; copy the log out of it"},
}

// Unpack returns what a log reads as, unpacked where it is packed. In is called name in errors.
func Unpack(in io.Reader, name string) (io.Reader, error) {
	b := bufio.NewReaderSize(in, 64<<10)
	begin, err := b.Peek(16) // fewer at the end of the file
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for _, o := range others {
		if bytes.HasPrefix(begin, []byte(o.magic)) {
			return nil, usagef("%s: it "+o.is+"%.0[1]s", name)
		}
	}
	switch {
	case bytes.HasPrefix(begin, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read %s as gzip: %w", name, err)
		}
		return cutOff{r}, nil
	case bytes.HasPrefix(begin, []byte("BZh")):
		return cutOff{bzip2.NewReader(b)}, nil
	case bytes.HasPrefix(begin, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("read %s as zstd: %w", name, err)
		}
		return cutOff{r}, nil
	}
	return b, nil
}

// cutOff is a packed log that may have been cut off: what there is of it is read.
type cutOff struct{ io.Reader }

func (c cutOff) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
