package lab

// Accel is what runs the guest's code.
type Accel string

const (
	KVM Accel = "kvm" // the CPU itself
	TCG Accel = "tcg" // software emulation
)

func (a Accel) args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// Five-level page tables cost time in emulation.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,la57=off"}
}
