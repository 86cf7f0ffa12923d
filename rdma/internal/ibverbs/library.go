package ibverbs

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// What keeps a device from being opened that is no errno.
var (
	// ErrLibrary: libibverbs cannot be loaded, or lacks a function.
	ErrLibrary = errors.New("rdma-core's libibverbs cannot be used")
	// ErrStatic: this program cannot load any library.
	ErrStatic = errors.New("this program was built without the means to load a library (build tag ibverbs)")
	// ErrProvider: libibverbs does not list the device, for want of its provider.
	ErrProvider = errors.New("libibverbs has no provider for it")
)

const libraryName = "libibverbs.so.1"

// library has the functions of libibverbs that are symbols, by address. ibv_poll_cq and
// ibv_post_send are none: the header takes them from the context.
type library struct {
	getDeviceList, freeDeviceList uintptr
	openDevice, closeDevice       uintptr
	queryDevice, queryPort        uintptr
	getAsyncEvent, ackAsyncEvent  uintptr
	allocPD, deallocPD            uintptr
	regMR, reregMR, deregMR       uintptr
	regDMABufMR                   uintptr // 0: an old library has none
	createCQ, destroyCQ           uintptr
	createChannel, destroyChannel uintptr
	getCQEvent, ackCQEvents       uintptr
	createQP, modifyQP, destroyQP uintptr
	createSRQ, destroySRQ         uintptr
	createAH, destroyAH           uintptr
	errnoLocation                 uintptr // of the libc that the library is linked to
}

// load loads the library, once for all: it stays until the process ends.
var load = sync.OnceValues(func() (*library, error) {
	handle, err := open(libraryName, ErrLibrary)
	if err != nil {
		return nil, err
	}
	l := &library{}
	for name, to := range map[string]*uintptr{
		"ibv_get_device_list":  &l.getDeviceList,
		"ibv_free_device_list": &l.freeDeviceList,
		"ibv_open_device":      &l.openDevice,
		"ibv_close_device":     &l.closeDevice,
		"ibv_query_device":     &l.queryDevice,
		"ibv_query_port":       &l.queryPort,
		"ibv_get_async_event":  &l.getAsyncEvent,
		"ibv_ack_async_event":  &l.ackAsyncEvent,
		"ibv_alloc_pd":         &l.allocPD,
		"ibv_dealloc_pd":       &l.deallocPD,
		"ibv_reg_mr":           &l.regMR,
		"ibv_rereg_mr":         &l.reregMR,
		"ibv_dereg_mr":         &l.deregMR,
		"ibv_create_cq":        &l.createCQ,
		"ibv_destroy_cq":       &l.destroyCQ,
		"ibv_create_qp":        &l.createQP,

		"ibv_create_comp_channel":  &l.createChannel,
		"ibv_destroy_comp_channel": &l.destroyChannel,
		"ibv_get_cq_event":         &l.getCQEvent,
		"ibv_ack_cq_events":        &l.ackCQEvents,

		"ibv_create_ah":   &l.createAH,
		"ibv_destroy_ah":  &l.destroyAH,
		"ibv_create_srq":  &l.createSRQ,
		"ibv_destroy_srq": &l.destroySRQ,

		"ibv_modify_qp":    &l.modifyQP,
		"ibv_destroy_qp":   &l.destroyQP,
		"__errno_location": &l.errnoLocation,
	} {
		if *to, err = symbol(handle, name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrLibrary, err)
		}
	}
	if address, err := symbol(handle, "ibv_reg_dmabuf_mr"); err == nil {
		l.regDMABufMR = address
	}
	return l, nil
})

// Load says why libibverbs cannot be used on this host; nil: it can.
func Load() error {
	_, err := load()
	return err
}

// thread calls functions on the one thread that its user stays on (runtime.LockOSThread), whose errno it has found. What a
// call through purego reports as errno is always 0 on Linux.
type thread struct{ errno *int32 }

func (l *library) thread() thread { return thread{at[int32](callC(l.errnoLocation))} }

// call calls a function and says what errno it left.
func (t thread) call(function uintptr, args ...uintptr) (uintptr, unix.Errno) {
	*t.errno = 0
	result := callC(function, args...)
	return result, unix.Errno(*t.errno)
}

// call is that of a thread for one function, which takes a call more.
func (l *library) call(function uintptr, args ...uintptr) (uintptr, unix.Errno) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return l.thread().call(function, args...)
}

// make calls a function that returns a new object, or NULL and errno.
func (l *library) make(function uintptr, args ...uintptr) (uintptr, error) {
	object, errno := l.call(function, args...)
	if object == 0 {
		return 0, noSilence(errno)
	}
	return object, nil
}

// create is make of what a device has limits for: a provider that refuses it without a reason has been asked for too much.
func (l *library) create(function uintptr, args ...uintptr) (uintptr, error) {
	return created(l.call(function, args...))
}

func created(object uintptr, errno unix.Errno) (uintptr, error) {
	switch {
	case object != 0:
		return object, nil
	case errno == 0:
		return 0, unix.EINVAL
	}
	return 0, errno
}

// do calls a function that returns 0, or an errno. Some providers return -1 and set errno, or
// return it negated. errno is not cleared before, which would take a call more: of -1 alone does it say anything.
func (l *library) do(function uintptr, args ...uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := int32(callC(function, args...))
	if status == 0 {
		return nil
	}
	errno := *l.thread().errno
	if status == -1 && errno != 0 {
		return unix.Errno(errno)
	}
	return noSilence(statusErrno(status))
}

// statusErrno is the errno that a status stands for, with whichever sign.
func statusErrno(status int32) unix.Errno {
	if status < 0 {
		status = -status
	}
	return unix.Errno(status)
}

// noSilence is for a failure that gives no reason.
func noSilence(errno unix.Errno) error {
	if errno == 0 {
		return unix.EPROTO
	}
	return errno
}
