package rdma

import (
	"fmt"
	"os"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// newRegisterError finds out what a failed registration means. The trial registers memory of no file with
// the same access.
func newRegisterError(label string, mem []byte, access Access, err error, trial func() error) error {
	e := newError("register", label, err)
	if access&AccessOnDemand != 0 && (e.Errno == unix.EINVAL || e.Errno == unix.EOPNOTSUPP) {
		e.lacks, e.Remedy = true, "it was to be paged on demand, and the device has no paging on demand as far as ibv_devinfo -v shows no odp_caps; rdma_rxe has it since Linux 6.15"
		return e
	}
	switch e.Errno {
	case unix.EFAULT:
		if access&accessAnyWrite == 0 {
			break
		}
		if writable(mem) {
			e.reason = ErrPinRefused
			e.Remedy = "this protects the file: pages of it cannot be dirtied behind the file system's back by RDMA"
			break
		}
		e.Remedy = "the memory is not mapped for writing throughout, or reaches beyond the end of its file"
	case unix.EOPNOTSUPP:
		// Of a driver that registers nothing at all, or not with this access, the trial fails as well.
		if trial() == nil {
			e.reason = ErrPinRefused
			e.Remedy = "the file is mapped directly from its device (DAX), and nobody may pin such pages for long"
		}
	case unix.ENOMEM, unix.EINVAL:
		limit, pinned, privileged, lockErr := lockLimit()
		tooMuch := lockErr == nil && pinned+uint64(len(mem)) > limit
		if tooMuch && !privileged {
			e.lacks = true
			e.Remedy = fmt.Sprintf("the process may lock %d bytes (RLIMIT_MEMLOCK) and has pinned %d; "+
				"raise the limit (ulimit -l) or run with CAP_IPC_LOCK", limit, pinned)
			break
		}
		// EINVAL is a device's limit, and of older rdma_rxe whatever kept it from the pin.
		if e.Errno == unix.EINVAL {
			e.Remedy = "no memory at all is registered with this access: the device may not have it (ibv_devinfo -v has its atomic_cap)"
			if trial() == nil {
				e.Remedy = "a page of other memory is registered: it may be larger than the device allows (ibv_devinfo -v has its max_mr_size), or not be memory that can be pinned"
			}
		}
	}
	return e
}

// writable says whether this process can write every page of mem, by having the
// kernel fault them in. MADV_POPULATE_WRITE came with 5.14: every kernel that
// refuses pins has it.
func writable(mem []byte) bool {
	page := os.Getpagesize()
	head := int(verbs.AddressOf(mem) % uint64(page))
	return madvisePages(mem, head, page, unix.MADV_POPULATE_WRITE) == nil
}

// lockLimit compares as the kernel does (ib_umem_get): bytes of RLIMIT_MEMLOCK,
// bytes pinned so far, and whether CAP_IPC_LOCK lifts the limit.
func lockLimit() (limit, pinned uint64, privileged bool, err error) {
	var rlimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &rlimit); err != nil {
		return 0, 0, false, err
	}
	self, err := procfs.Self()
	if err != nil {
		return 0, 0, false, err
	}
	pinned, privileged, err = lockStatus(self)
	return rlimit.Cur, pinned, privileged, err
}

// lockStatus reads VmPin and CapEff of /proc/PID/status.
func lockStatus(p procfs.Proc) (pinned uint64, privileged bool, err error) {
	status, err := p.NewStatus()
	if err != nil {
		return 0, false, err
	}
	return status.VmPin, status.CapEff&(1<<unix.CAP_IPC_LOCK) != 0, nil
}
