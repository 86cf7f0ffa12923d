package block

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// request is struct dm_ioctl with room for one target behind it
// (include/uapi/linux/dm-ioctl.h). It holds no pointers.
type request struct {
	unix.DmIoctl
	Target [512]byte // struct dm_target_spec and its parameters or status
}

// call makes the request. The kernel writes its answer into it.
func (r *request) call(control *os.File, command uintptr) error {
	r.Version = [3]uint32{unix.DM_VERSION_MAJOR, 27, 0} // deferred removal came with 4.27 (Linux 3.13)
	r.Data_size = uint32(unsafe.Sizeof(*r))
	r.Data_start = uint32(unsafe.Offsetof(r.Target))
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), command, uintptr(unsafe.Pointer(r)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR: // a signal of Go's scheduler
			continue
		}
		return errno
	}
}
