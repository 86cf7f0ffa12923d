package observe

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Host is the machine that is watched, and its kernel, for who reads of it elsewhere.
type Host struct {
	Kernel      string `json:"kernel"`  // uname -r
	Version     string `json:"version"` // uname -v
	Machine     string `json:"machine"` // uname -m
	CPUs        int    `json:"cpus"`
	MemoryBytes uint64 `json:"memory_bytes"`
	PageSize    int    `json:"page_size"`
}

// ThisHost is this machine; nil, where the kernel does not tell.
func ThisHost() *Host {
	var uname unix.Utsname
	var info unix.Sysinfo_t
	if unix.Uname(&uname) != nil || unix.Sysinfo(&info) != nil {
		return nil
	}
	return &Host{
		Kernel:      unix.ByteSliceToString(uname.Release[:]),
		Version:     unix.ByteSliceToString(uname.Version[:]),
		Machine:     unix.ByteSliceToString(uname.Machine[:]),
		CPUs:        runtime.NumCPU(),
		MemoryBytes: info.Totalram * uint64(info.Unit),
		PageSize:    os.Getpagesize(),
	}
}
