package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/probes"
	"umemstress/rdma"
	"umemstress/soft-roce/lab"
	"umemstress/workload"
	"umemstress/workload/child"
	"umemstress/workload/danger"
	"umemstress/workload/holder/aio"
	"umemstress/workload/holder/uring"
	"umemstress/workload/holder/xdp"
	"umemstress/workload/scenario"
	"umemstress/workload/witness"
)

// host is where check looks, and what others answered for themselves. Tests give it
// trees and answers of their own.
type host struct {
	kernel   Kernel
	sys      string // the file system mounted on /sys
	proc     string // and on /proc
	dev      string // the device nodes
	modules  string // the kernel's modules: /lib/modules/RELEASE
	workDirs []string

	uid         int
	effective   uint64 // capabilities
	memlock     uint64 // bytes
	needed      uint64 // bytes that a run locks by default
	features    []probes.Feature
	dangers     []danger.Danger
	lab         lab.Readiness
	haveProgram func(name string) bool
	access      func(path string, mode uint32) error // access(2)
	open        func(path string) error              // opens for reading and writing, and closes
	openToRead  func(path string) error
	library     error        // why rdma-core's library cannot be used; nil: it can
	aio, uring  func() error // make a queue of asynchronous reads, and end it
	xdp         func() error // makes a socket of AF_XDP, and closes it
	userfault   func() error // makes a userfaultfd for the faults of system calls, and closes it
}

// thisHost is the machine that this process runs on.
func thisHost() (*host, error) {
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return nil, fmt.Errorf("RLIMIT_MEMLOCK: %w", err)
	}
	effective, err := effectiveCapabilities()
	if err != nil {
		return nil, err
	}
	quick, err := workload.Preset("quick")
	if err != nil {
		return nil, err
	}
	dirty, _ := witness.CountDirty() // an error: the danger says that it is not known
	h := &host{
		kernel: Kernel{
			Release: unix.ByteSliceToString(uname.Release[:]),
			Version: unix.ByteSliceToString(uname.Version[:]),
		},
		sys: "/sys", proc: "/proc", dev: "/dev",
		uid:       os.Geteuid(),
		effective: effective,
		memlock:   limit.Cur,
		needed:    uint64(quick.FileBytes + quick.AnonBytes),
		features:  probes.Supported(),
		dangers:   danger.Find(danger.Run{Scenario: scenario.Scenario{Filesystem: scratchFilesystem}, Dirty: dirty.Pages}),
		lab:       lab.FindReadiness(),
		haveProgram: func(name string) bool {
			_, err := child.Find(name)
			return err == nil
		},
		access: func(path string, mode uint32) error {
			return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
		},
		open:       func(path string) error { return tryOpen(path, os.O_RDWR) },
		openToRead: func(path string) error { return tryOpen(path, os.O_RDONLY) },
		library:    rdma.LibraryError(),
		aio:        aio.Available,
		uring:      uring.Available,
		xdp:        xdp.Available,
		userfault:  tryUserfault,
	}
	h.modules = filepath.Join("/lib/modules", h.kernel.Release)
	if dir, err := os.Getwd(); err == nil {
		h.workDirs = append(h.workDirs, dir)
	}
	h.workDirs = append(h.workDirs, os.TempDir())
	return h, nil
}

// effectiveCapabilities asks the kernel what this process may do.
func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

func tryOpen(path string, flags int) error {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// privileges that matter here, and what is impossible without them.
var privileges = []struct {
	name    string
	bit     uint
	without string
}{
	{"CAP_IPC_LOCK", unix.CAP_IPC_LOCK, "regions are held to RLIMIT_MEMLOCK"},
	{"CAP_BPF", unix.CAP_BPF, "no probes"},
	{"CAP_PERFMON", unix.CAP_PERFMON, "no probes"},
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, "no scratch file system"},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, "no umemstress soft-roce up"},
}

const remedyRoot = "run it as root"

// userNamespace says whether this process has its capabilities in a user namespace
// only. The first namespace maps all ids to themselves.
func (h *host) userNamespace() bool {
	ids, err := os.ReadFile(filepath.Join(h.proc, "self/uid_map"))
	return err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295"
}

// has says whether this process has a capability that counts with the whole kernel.
func (h *host) has(bit uint) bool {
	mask := h.effective
	if h.userNamespace() {
		mask = 0
	}
	// CAP_SYS_ADMIN stands for those that were split from it in 5.8.
	if (bit == unix.CAP_BPF || bit == unix.CAP_PERFMON) && mask&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return true
	}
	return mask&(1<<bit) != 0
}

func (h *host) privilegeItem() Item {
	i := Item{Name: "privileges", State: OK}
	var have, lack, costs []string
	for _, p := range privileges {
		if h.has(p.bit) {
			have = append(have, p.name)
			continue
		}
		lack = append(lack, p.name)
		if len(costs) == 0 || costs[len(costs)-1] != p.without {
			costs = append(costs, p.without)
		}
	}
	i.Detail = fmt.Sprintf("uid %d", h.uid)
	if len(have) > 0 {
		i.Detail += "; " + strings.Join(have, ", ")
	}
	if len(lack) == 0 {
		return i
	}
	i.Detail += "; without " + strings.Join(lack, ", ")
	i.State, i.Costs, i.Remedy = Warning, strings.Join(costs, ", "), h.asRoot("give the container these capabilities")
	if h.userNamespace() {
		i.Detail += " (a user namespace: its capabilities do not count here)"
		i.Remedy = "run it as root outside of the container"
	}
	return i
}

func (h *host) lockItem() Item {
	i := Item{Name: "locked memory", State: OK}
	switch {
	case h.memlock == unix.RLIM_INFINITY:
		i.Detail = "RLIMIT_MEMLOCK is unlimited"
	default:
		i.Detail = "RLIMIT_MEMLOCK is " + sizeText(h.memlock)
	}
	switch {
	case h.has(unix.CAP_IPC_LOCK):
		i.Detail += ", lifted by CAP_IPC_LOCK"
	case h.memlock < h.needed:
		i.State, i.Costs = Missing, noRDMARun+": no region of a useful size can be registered"
		i.Remedy = "ulimit -l unlimited (/etc/security/limits.conf: memlock), or " + remedyRoot
		if each := h.memlock / 4 >> 20; each > 0 { // two regions, and as much left over
			i.State, i.Costs = Warning, noRDMARun+" of the default size, which locks "+sizeText(h.needed)
			i.Remedy = fmt.Sprintf("--file-size %dM --anon-size %dM fit; or %s", each, each, i.Remedy)
		}
	}
	return i
}

func sizeText(n uint64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
