package filesystem

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// addKey is struct fscrypt_add_key_arg (include/uapi/linux/fscrypt.h) with the key behind it.
type addKey struct {
	unix.FscryptAddKeyArg
	Raw [64]byte // FSCRYPT_MAX_KEY_SIZE
}

// call gives the file system of a file the key. The kernel writes the key's name into it.
func (k *addKey) call(f *os.File) error {
	return ioctl(f, unix.FS_IOC_ADD_ENCRYPTION_KEY, unsafe.Pointer(k))
}

// setPolicy is struct fscrypt_policy_v2.
type setPolicy unix.FscryptPolicyV2

// call sets the policy of an empty directory.
func (p *setPolicy) call(dir *os.File) error {
	return ioctl(dir, unix.FS_IOC_SET_ENCRYPTION_POLICY, unsafe.Pointer(p))
}

// ioctl makes a request about an open file. What the argument points to holds no pointers.
func ioctl(f *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
