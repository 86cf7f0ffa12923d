package probes

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// methods returns those for functions, in the order in which they are tried: the
// cheapest first, unless it would miss calls.
func methods(host preemption, types func() (*btf.Spec, error)) []Method {
	if host.preemptible() && skipsTrampolines(types) {
		return []Method{KprobeMulti, Kprobe, Fentry}
	}
	return []Method{Fentry, KprobeMulti, Kprobe}
}

// A trampoline's program is skipped where the same program is already at work on
// the CPU (bpf_prog.active in __bpf_prog_enter_recur, kernel/bpf/trampoline.c).
// It runs with migration off, but not preemption: a task that is preempted
// inside it makes every other task on that CPU pass unseen until it goes on,
// which is for thousands of pages. Measured on 7.2 (preempt=lazy): of 16,384
// pages that 16 threads released at once, 8,949 were seen. Programs of kprobes
// and kprobe-multi run with preemption off.
//
// Before 5.12 (ca06f55b9002) nothing is skipped. The counter of skipped runs
// came with 5.12 too (9ed9e9ba2337), and is ABI, so that its name stays.
func skipsTrampolines(types func() (*btf.Spec, error)) bool {
	spec, err := types()
	if err != nil {
		return true // the attempt tells what is wrong
	}
	var info *btf.Struct
	if err := spec.TypeByName("bpf_prog_info", &info); err != nil {
		return true
	}
	return slices.ContainsFunc(info.Members, func(m btf.Member) bool { return m.Name == "recursion_misses" })
}

// preemption is what tells whether the kernel preempts tasks inside it.
type preemption struct {
	sysfs   fs.FS
	version string // utsname.version, such as "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2"
}

// dynamicModel has the models that a kernel can choose from, the one in force in
// brackets: "none (voluntary) full" (kernel/sched/debug.c, since 5.12).
const dynamicModel = "kernel/debug/sched/preempt"

func (p preemption) preemptible() bool {
	model, err := fs.ReadFile(p.sysfs, dynamicModel)
	if err == nil && (strings.Contains(string(model), "(none)") || strings.Contains(string(model), "(voluntary)")) {
		return false
	}
	// Kernels that can preempt at all say so here (scripts/mkcompile_h, now
	// init/Makefile): PREEMPT, PREEMPT_RT, PREEMPT_LAZY, PREEMPT_DYNAMIC.
	return strings.Contains(p.version, "PREEMPT")
}

// kernelBuild returns utsname.version, which has the build's kind beside its date.
func kernelBuild() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "PREEMPT" // the safe side
	}
	return unix.ByteSliceToString(name.Version[:])
}
