package mutation

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/file"
)

// change is what can be done to a part of a file.
type change string

const (
	punch    change = "punch a hole"
	zero     change = "zero a page"
	write    change = "write a page"
	truncate change = "truncate the file"
)

// apply makes the change to so many bytes at an offset; truncate ends the file there.
func (c change) apply(f *os.File, offset, bytes int64) (err error) {
	switch c {
	case punch:
		err = file.Allocate(f, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, bytes)
	case zero:
		err = file.Allocate(f, unix.FALLOC_FL_ZERO_RANGE, offset, bytes)
	case write:
		_, err = f.WriteAt(make([]byte, bytes), offset)
	case truncate:
		err = f.Truncate(offset)
	default:
		err = fmt.Errorf("no change is called %q", string(c))
	}
	return err
}

// ChangeChild is the name of the child that ChangeMain is.
const ChangeChild = "change"

// applyByChild has another process make the change: the file is all that it has of this one.
func (c change) applyByChild(f *os.File, offset, length int64) error {
	cmd, err := child.Command(ChangeChild, string(c), strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10))
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{f}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("in another process: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// ChangeMain makes a change, named with its offset and bytes, to descriptor 3.
func ChangeMain(args []string, _ io.Reader, _ io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("a change takes its name, an offset and a number of bytes, not %q", args)
	}
	offset, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the offset of a change: %w", err)
	}
	length, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("the bytes of a change: %w", err)
	}
	return change(args[0]).apply(os.NewFile(3, "file"), offset, length)
}
