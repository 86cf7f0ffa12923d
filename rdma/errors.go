package rdma

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrPinRefused is in the chain of RegisterMR's error when the kernel will
	// not pin pages of a file for long, although the process may write them
	// itself: kernels from 6.5 with 8ac268436e6d do so for file systems that
	// must be told of every write. The errno is EFAULT, as for a bad address;
	// see [PD.RegisterMR] for how the two are told apart. Of a file that is mapped directly
	// (DAX) any kernel refuses it so, with EOPNOTSUPP.
	ErrPinRefused = errors.New("the kernel refuses to pin pages of a file for writing")

	// ErrAccessRefused is in the chain of ChangeAccess's error when pages that are pinned for reading would be written to: rdma_rxe of
	// 6.12 and 7.2 re-registers no region so, whatever its memory is. The errno is EACCES.
	ErrAccessRefused = errors.New("the kernel lets pages that are pinned for reading not be written to")

	// ErrDeviceGone is in the chain when the device was removed while open.
	ErrDeviceGone = errors.New("the RDMA device is gone")

	// ErrClosed is in the chain when the object was closed before.
	ErrClosed = errors.New("already closed")

	// ErrQueueFull is returned by a post that found too little room; poll for
	// completions and post the rest again.
	ErrQueueFull = errors.New("the send queue is full")
)

// Error is every failed operation of this package.
type Error struct {
	Op     string     // what was tried: "open", "register", "post", ...
	Object string     // on what: "device rxe0", "memory region of 4096 bytes", ...
	Errno  unix.Errno // 0 when no system call failed
	Remedy string     // what to do about it; may be empty

	reason error // ErrPinRefused, ErrDeviceGone, ... or what failed without errno
	lacks  bool
}

// Error says operation, object, reason and remedy in one sentence.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Op, e.Object)
	if e.reason != nil {
		fmt.Fprintf(&b, ": %v", e.reason)
	}
	if e.Errno != 0 {
		fmt.Fprintf(&b, ": %v (%s)", e.Errno, errnoName(e.Errno))
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// errnoName is what the kernel's documentation calls it: EOPNOTSUPP has a second name.
func errnoName(errno unix.Errno) string {
	if errno == unix.EOPNOTSUPP {
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(errno)
}

// Unwrap gives the errno and the reason to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	var chain []error
	if e.Errno != 0 {
		chain = append(chain, e.Errno)
	}
	if e.reason != nil {
		chain = append(chain, e.reason)
	}
	return chain
}

// HostLacks says whether the host is to blame: it lacks the device, an active
// port, a privilege or enough lockable memory. A refused pin is none of these.
func (e *Error) HostLacks() bool { return e.lacks }

// Remedies that several operations share.
const (
	remedyPermission  = "give the user access to the device node (udev group rdma, or run as root)"
	remedyRemoved     = "the device was removed; add it again (umemstress soft-roce up) and start over"
	remedyDescriptors = "raise the limit of open files (ulimit -n)"
	remedyLoad        = "load the device's driver, or make a soft-RoCE device: umemstress soft-roce up"
	// The kernel compares the opener's credentials with the writer's
	// (ib_safe_file_access) and answers EACCES, whatever the mode of the node.
	// It compares pointers, and a Go program that gives up privileges does so
	// thread by thread, which leaves each with credentials of its own: even a
	// device opened afterwards is refused to all threads but the opener's.
	remedyCredentials = "the process changed its credentials; start it with those it shall have (setpriv, runuser)"
)

// newError wraps err, and recognises what is usual for every operation on an
// open device. Operations with more to say refine the result.
func newError(op, object string, err error) *Error {
	e := &Error{Op: op, Object: object}
	if !errors.As(err, &e.Errno) {
		e.reason = err
		return e
	}
	switch e.Errno {
	case unix.EACCES, unix.EPERM:
		e.Remedy, e.lacks = remedyCredentials, true
	case unix.EIO, unix.ENODEV:
		// EIO is what an open device answers after it was removed.
		e.reason, e.Remedy, e.lacks = ErrDeviceGone, remedyRemoved, true
	case unix.EMFILE, unix.ENFILE:
		e.Remedy, e.lacks = remedyDescriptors, true
	case unix.EPROTO:
		e.reason, e.Remedy = errOtherLayout, "please report it, with the version of rdma-core and the driver"
	}
	return e
}

// errOtherLayout is of a library whose answer is not what was asked for.
var errOtherLayout = errors.New("libibverbs or the device's provider answered what makes no sense; its structs may be laid out otherwise than in rdma-core 33 to 65")

func newOpenError(object string, err error) *Error {
	if e := libraryError(object, err); e != nil {
		return e
	}
	e := newError("open", object, err)
	switch e.Errno {
	case unix.EACCES, unix.EPERM:
		e.Remedy, e.lacks = remedyPermission, true
	case unix.ENOENT, unix.ENXIO, unix.ENODEV, unix.ENOSYS: // libibverbs says ENOSYS where there is no device at all
		e.reason, e.Remedy, e.lacks = nil, remedyLoad, true
	}
	return e
}

// newSysfsError wraps what an attribute could not be read for. There, EIO says that the
// device does not answer, and not that it is gone.
func newSysfsError(object string, err error) *Error {
	e := newError("read", object, err)
	if e.Errno == unix.EIO {
		e.reason, e.Remedy = nil, "the device may be in reset: look at the kernel's log"
	}
	return e
}

// limitError refuses a number that a request could not carry.
func limitError(what string, n, from, upTo int) error {
	return fmt.Errorf("%s %d: it must be from %d to %d", what, n, from, upTo)
}

func closedError(op, object string) *Error {
	return &Error{Op: op, Object: object, reason: ErrClosed}
}
