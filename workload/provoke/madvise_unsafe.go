package provoke

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// atOnce is how much memory is named in one call. The kernel takes 2 GiB without a page at most
// (MAX_RW_COUNT).
const atOnce = 1 << 30

// pageOut has reclaim take the pages of another process's memory (process_madvise with
// MADV_PAGEOUT, Linux 5.10), and tells of how much.
func pageOut(process int, address, length uint64) (advised uint64, err error) {
	for advised < length {
		vec := unix.RemoteIovec{Base: uintptr(address + advised), Len: int(min(length-advised, atOnce))}
		n, _, errno := unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(process), uintptr(unsafe.Pointer(&vec)), 1, unix.MADV_PAGEOUT, 0, 0)
		switch {
		case errno == unix.ENOMEM || errno == 0 && n == 0: // the program has unmapped it meanwhile
			return advised, nil
		case errno == unix.EINTR || errno == unix.EAGAIN:
			continue
		case errno == unix.ENOSYS:
			return advised, fault.Lacksf("the kernel cannot be asked to page out the memory of another process: it takes Linux 5.10 with CONFIG_ADVISE_SYSCALLS=y")
		case errno == unix.EPERM || errno == unix.EACCES:
			return advised, fault.Lacksf("paging out the memory of another process is not permitted: it takes CAP_SYS_PTRACE and CAP_SYS_NICE")
		case errno != 0:
			return advised, fmt.Errorf("page out %d bytes at %#x: %w", vec.Len, vec.Base, errno)
		}
		advised += uint64(n)
	}
	return advised, nil
}
