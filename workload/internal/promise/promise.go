// Package promise asks a file system whether bytes are safe, by a child: in a kernel that has
// died of them the question may never be answered, and a process ends no sooner than its last
// thread.
package promise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// Child is the name of the child that Main is.
const Child = "promise"

// Answers are what msync and fsync answered: 0, or an errno.
type Answers struct{ Msync, Fsync unix.Errno }

// threadComm is what the kernel calls a thread, and can be told to.
const threadComm = "/proc/thread-self/comm"

// Ask has the child map length bytes of the file, from offset on, ask msync (MS_SYNC) for
// them, and then fsync for the file, as an application would; fsync alone if length is 0.
// A kernel that dies of it calls the thread comm.
func Ask(f *os.File, offset, length int64, comm string) (a Answers, err error) {
	cmd, err := child.Command(Child, strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10), comm)
	if err != nil {
		return a, err
	}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.ExtraFiles = []*os.File{f} // the same open file, so an error is told to whoever asks first, as in one process
	wait, err := child.StartBound(cmd)
	if err == nil {
		err = wait()
	}
	if err != nil {
		return a, fmt.Errorf("ask msync and fsync: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	if _, err := fmt.Sscanf(out.String(), answers, &a.Msync, &a.Fsync); err != nil {
		return a, fmt.Errorf("ask msync and fsync: the child answered %q: %w", out.String(), err)
	}
	return a, nil
}

const answers = "%d %d\n"

// Main asks for a part of descriptor 3.
func Main(args []string, _ io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("to ask takes an offset, a length and a name, not %q", args)
	}
	offset, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("the offset: %w", err)
	}
	length, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the length: %w", err)
	}
	if err := nameThread(args[2]); err != nil {
		return err
	}
	f := os.NewFile(3, "file")
	var a Answers
	if length > 0 {
		region, err := memory.MapFile(f, offset, int(length))
		if err != nil {
			return err
		}
		if a.Msync, err = errno(unix.Msync(region.Bytes, unix.MS_SYNC)); err != nil {
			return err
		}
	}
	if a.Fsync, err = errno(file.Sync(f)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, answers, a.Msync, a.Fsync)
	return err
}

// nameThread names the thread that the caller, which keeps it, asks by.
func nameThread(comm string) error {
	runtime.LockOSThread()
	return os.WriteFile(threadComm, []byte(comm), 0)
}

func errno(answer error) (unix.Errno, error) {
	var number unix.Errno
	if answer == nil || errors.As(answer, &number) {
		return number, nil
	}
	return 0, answer
}
