package machine

import (
	"os"
	"path/filepath"
)

// KVMDevice is where the CPU is asked to run guests.
const KVMDevice = "/dev/kvm"

// Lack says why something is not to be had, and how to get it.
type Lack struct{ Reason, Remedy string }

// Lack says why KVM is not worth a trial; nil: it is.
func (h AccelHost) Lack() *Lack {
	cpuinfo, err := os.ReadFile(filepath.Join(h.Proc, "cpuinfo"))
	if err != nil {
		return &Lack{err.Error(), ""}
	}
	if !hasVirtualization(string(cpuinfo)) {
		return &Lack{"the CPU has neither vmx nor svm", "virtualization in the firmware, or nested virtualization"}
	}
	f, err := os.OpenFile(h.KVM, os.O_RDWR, 0)
	if err != nil {
		return &Lack{err.Error(), "modprobe kvm_intel or kvm_amd, and the group kvm for this user"}
	}
	f.Close()
	return nil
}
