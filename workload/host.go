package workload

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"umemstress/workload/record"
)

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
