package machine

import (
	"fmt"
	"strconv"
	"strings"
)

// Machine is a guest as QEMU sees it.
type Machine struct {
	QEMU      string // path of the emulator
	Accel     Accel
	Memory    int64 // bytes
	CPUs      int
	Kernel    string
	Initramfs int // file descriptor
	Append    string
	Devices   []Device
}

// kernelArgs are given to every guest.
//
//   - A panic ends the guest at once: panic=-1 reboots, and -no-reboot makes QEMU
//     exit.
//   - Mitigations cost time under software emulation and guard nothing here.
//   - The self-tests of cryptographic algorithms take half a second.
//   - Warnings and worse go to the serial console; the rest stays in the kernel's
//     log, since a character costs an exit from the guest's code.
var kernelArgs = []string{
	"console=ttyS0", "loglevel=5", "panic=-1",
	"mitigations=off", "random.trust_cpu=on", "no_timer_check", "tsc=reliable", "cryptomgr.notests",
}

// CommandLine is the program to start, with its arguments.
func (m *Machine) CommandLine() []string {
	appended := strings.Join(kernelArgs, " ")
	if m.Append != "" {
		appended += " " + m.Append
	}
	line := []string{
		m.QEMU,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35",
	}
	line = append(line, m.Accel.args()...)
	line = append(line,
		"-m", strconv.FormatInt(m.Memory>>20, 10)+"M",
		"-smp", strconv.Itoa(m.CPUs),
		"-kernel", m.Kernel,
		"-initrd", fmt.Sprintf("/proc/self/fd/%d", m.Initramfs),
		"-append", appended,
	)
	for _, d := range m.Devices {
		line = append(line, d.args()...)
	}
	return line
}
