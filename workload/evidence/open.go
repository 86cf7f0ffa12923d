package evidence

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/printable"
)

// maxLine is longer than any line that a run writes: that of a stack of 32 functions whose
// names are as long as the kernel lets them be, 511 bytes.
const maxLine = 64 << 10

// open opens a file of evidence that may come from anybody. Only a regular file is one:
// what else can lie there would hang the reader, never end, or be this machine's own.
func open(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path) // before it is opened, which alone may do something to a device
	if err != nil {
		return nil, err
	}
	if err := regular(path, info.Mode()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = regular(path, info.Mode()) // it may have been exchanged meanwhile
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func regular(path string, mode fs.FileMode) error {
	if mode.IsRegular() {
		return nil
	}
	what := "a device"
	switch {
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fault.Usagef("%s: it is %s and no regular file, so no run left it there; copy the files themselves", printable.Text(path), what)
}

// readAll reads a file that is not larger than it may be.
func readAll(dir, name string, most int64) ([]byte, error) {
	f, err := open(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fault.Usagef("%s: it is larger than the %d MiB that a run can leave; it was not written by umemstress run", printable.Text(f.Name()), most>>20)
	}
	return data, nil
}

// readLines hands over the lines of a file, one by one, however many there are. What is
// behind the last new line was cut off, as when the machine died while it was written; it
// is not handed over, and whole is false.
func readLines(ctx context.Context, dir, name string, each func(number int, line []byte) error) (whole bool, err error) {
	f, err := open(dir, name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, maxLine)
	for number := 1; ; number++ {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return len(line) == 0, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return false, fmt.Errorf("%s:%d: longer than %d KiB, which no line of a run is; it was not written by umemstress run", printable.Text(f.Name()), number, maxLine>>10)
		case err != nil:
			return false, fmt.Errorf("read the evidence: %w", err)
		}
		if err := each(number, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return false, fmt.Errorf("%s:%d: %w", printable.Text(f.Name()), number, err)
		}
	}
}

// Interruptible does what may not end, such as to read from a file system that does not
// answer, and leaves it alone when ctx ends.
func Interruptible[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
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
