package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// machine is a guest as QEMU sees it.
type machine struct {
	qemu      string // path of the emulator
	accel     Accel
	memory    int64 // bytes
	cpus      int
	kernel    string
	initramfs int // file descriptor
	append    string
	devices   []device
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

// commandLine is the program to start, with its arguments.
func (m *machine) commandLine() []string {
	appended := strings.Join(kernelArgs, " ")
	if m.append != "" {
		appended += " " + m.append
	}
	line := []string{
		m.qemu,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35",
	}
	line = append(line, m.accel.args()...)
	line = append(line,
		"-m", strconv.FormatInt(m.memory>>20, 10)+"M",
		"-smp", strconv.Itoa(m.cpus),
		"-kernel", m.kernel,
		"-initrd", fmt.Sprintf("/proc/self/fd/%d", m.initramfs),
		"-append", appended,
	)
	for _, d := range m.devices {
		line = append(line, d.args()...)
	}
	return line
}
