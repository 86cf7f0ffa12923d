package workload

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/workload/record"
)

// ownComm is what the kernel calls the threads of this process.
func ownComm() string {
	comm, _ := os.ReadFile("/proc/self/comm") // without it, no thread is known to be of the run
	return strings.TrimSuffix(string(comm), "\n")
}

// readHost returns the kernel's release and the facts of this machine.
func readHost() (kernel string, host record.Host, err error) {
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return "", record.Host{}, fmt.Errorf("uname: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "", record.Host{}, fmt.Errorf("sysinfo: %w", err)
	}
	return unix.ByteSliceToString(uname.Release[:]), record.Host{
		Version:     unix.ByteSliceToString(uname.Version[:]),
		Machine:     unix.ByteSliceToString(uname.Machine[:]),
		CPUs:        runtime.NumCPU(),
		MemoryBytes: info.Totalram * uint64(info.Unit),
		PageSize:    os.Getpagesize(),
	}, nil
}
