package uring

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// ring is an io_uring, whose rings this program and the kernel share. The kernel reads submissions
// behind the tail that this program stores, and this program reads completions up to the tail that
// the kernel stores.
type ring struct {
	file        *os.File
	features    uint32
	rings       []byte // of submissions and completions
	submissions []byte // struct io_uring_sqe, one after the other
	layout      params
}

// newRing makes a ring for so many submissions.
func newRing(entries uint32) (_ *ring, err error) {
	r := &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&r.layout)), 0)
	if errno != 0 {
		return nil, errno
	}
	r.file = os.NewFile(fd, "io_uring")
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.features = r.layout.Features; r.features&featSingleMmap == 0 {
		return nil, errors.New("its rings are not in one mapping (IORING_FEAT_SINGLE_MMAP, Linux 5.4)")
	}
	size := max(uintptr(r.layout.Submissions.Array)+uintptr(r.layout.SubmissionEntries)*unsafe.Sizeof(uint32(0)),
		uintptr(r.layout.Completions.Entry)+uintptr(r.layout.CompletionEntries)*unsafe.Sizeof(completion{}))
	if r.rings, err = r.mmap(offRings, size); err != nil {
		return nil, err
	}
	r.submissions, err = r.mmap(offSubmissions, uintptr(r.layout.SubmissionEntries)*unsafe.Sizeof(submission{}))
	return r, err
}

func (r *ring) mmap(offset int64, size uintptr) ([]byte, error) {
	return unix.Mmap(int(r.file.Fd()), offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// word is one of the 32-bit words that the kernel shares.
func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// prepare makes the submission of that number, of a ring that has submitted none.
func (r *ring) prepare(number int, s submission) {
	*(*submission)(unsafe.Pointer(&r.submissions[uintptr(number)*unsafe.Sizeof(s)])) = s
	*r.word(r.layout.Submissions.Array + uint32(number)*uint32(unsafe.Sizeof(uint32(0)))) = uint32(number)
}

// submit submits the first ones, and returns how many were taken.
func (r *ring) submit(number int) (int, error) {
	atomic.StoreUint32(r.word(r.layout.Submissions.Tail), uint32(number))
	n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, r.file.Fd(), uintptr(number), 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// wait waits for a completion and takes it.
func (r *ring) wait() (completion, error) {
	head := r.word(r.layout.Completions.Head) // only this program stores it
	at := *head
	for at == atomic.LoadUint32(r.word(r.layout.Completions.Tail)) {
		err := file.Again(func() error {
			if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, r.file.Fd(), 0, 1, enterGetEvents, 0, 0); errno != 0 {
				return errno
			}
			return nil
		})
		if err != nil {
			return completion{}, err
		}
	}
	entry := at & *r.word(r.layout.Completions.Mask)
	c := *(*completion)(unsafe.Pointer(&r.rings[uintptr(r.layout.Completions.Entry)+uintptr(entry)*unsafe.Sizeof(completion{})]))
	atomic.StoreUint32(head, at+1)
	return c, nil
}

// Close gives the ring back, of whose reads none is under way.
func (r *ring) Close() error {
	var errs []error
	for _, mapping := range [][]byte{r.rings, r.submissions} {
		if mapping != nil {
			errs = append(errs, unix.Munmap(mapping))
		}
	}
	r.rings, r.submissions = nil, nil
	return errors.Join(append(errs, r.file.Close())...)
}
