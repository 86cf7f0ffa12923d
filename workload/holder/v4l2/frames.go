package v4l2

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// frames keeps the frames of a mapping's pages readable, whatever becomes of the mapping and of the
// file: a pipe has references to them (vmsplice(2)), and who reads from it reads what they hold by
// then. References are no pins: a kernel that heeds pins does not heed them, and the
// file system does not hear of them.
type frames []reference

// reference is a pipe full of pages.
type reference struct {
	read, write *os.File
	bytes       int
}

// pipeBytes is what a pipe may hold of any user (fs.pipe-max-size).
const pipeBytes = 1 << 20

func keepFrames(mem []byte) (kept frames, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, kept.close())
		}
	}()
	for len(mem) > 0 {
		part := mem[:min(pipeBytes, len(mem))]
		mem = mem[len(part):]
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return kept, fmt.Errorf("make a pipe: %w", err)
		}
		r := reference{os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), len(part)}
		kept = append(kept, r)
		if err := r.refer(part); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// refer has the pipe refer to the memory.
func (r reference) refer(part []byte) error {
	if _, err := unix.FcntlInt(r.write.Fd(), unix.F_SETPIPE_SZ, len(part)); err != nil {
		return fmt.Errorf("have a pipe hold %d bytes: %w; raise fs.pipe-user-pages-soft, or give a smaller --file-size", len(part), err)
	}
	for len(part) > 0 {
		vector := unix.Iovec{Base: &part[0]}
		vector.SetLen(len(part))
		taken := 0
		if err := file.Again(func() (err error) {
			taken, err = unix.Vmsplice(int(r.write.Fd()), []unix.Iovec{vector}, unix.SPLICE_F_NONBLOCK)
			return err
		}); err != nil {
			return fmt.Errorf("vmsplice of %d bytes: %w", len(part), err)
		}
		part = part[taken:]
	}
	return nil
}

// read returns what the frames hold now, and lets go of them.
func (f frames) read() (*memory.Region, error) {
	bytes := 0
	for _, r := range f {
		bytes += r.bytes
	}
	content, err := memory.MapAnonymous(bytes)
	if err != nil {
		return nil, err
	}
	at := 0
	for _, r := range f {
		if _, err := io.ReadFull(r.read, content.Bytes[at:at+r.bytes]); err != nil {
			return nil, errors.Join(fmt.Errorf("read %d bytes of the pinned pages: %w", r.bytes, err), content.Close(), f.close())
		}
		at += r.bytes
	}
	return content, f.close()
}

func (f frames) close() error {
	var errs []error
	for _, r := range f {
		errs = append(errs, r.read.Close(), r.write.Close())
	}
	return errors.Join(errs...)
}

var sumsSeed = maphash.MakeSeed()

// sums are those of the pages of memory.
func sums(mem []byte) (each []uint64) {
	page := os.Getpagesize()
	for at := 0; at < len(mem); at += page {
		each = append(each, maphash.Bytes(sumsSeed, mem[at:at+page]))
	}
	return each
}
