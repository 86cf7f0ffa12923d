package probes

import (
	"errors"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"umemstress/probes/lockdown"
	"umemstress/probes/memlock"
)

// A Feature is something that the probes can use of the kernel.
type Feature struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Reason    string `json:"reason,omitempty"` // why not
	Denied    bool   `json:"denied,omitempty"` // whether it was privilege that was missing, as far as the kernel tells
	Without   string `json:"without"`          // what it costs not to have it
	Remedy    string `json:"remedy"`           // what has it, if it is not denied
}

// testFunction is in every kernel with BPF and BTF since 5.5. It is called by
// nobody but the kernel's own tests of BPF.
const testFunction = "bpf_fentry_test1"

// Supported tries what the probes need. It needs no privilege to be called, but
// without privilege most of it is denied.
func Supported() []Feature {
	var list []Feature
	add := func(name, without string, try func() error) {
		f := Feature{Name: name, Without: without, Remedy: featureRemedies[name]}
		restore, err := memlock.Lift(try)
		restore()
		if f.Available = err == nil; !f.Available {
			f.Reason = reason(Method(name), err)
			f.Denied = f.Reason == reasonNoPrivilege || f.Reason == reasonEvenRoot
			if f.Reason == reasonLockdown {
				f.Remedy = lockdown.Remedy
			}
		}
		list = append(list, f)
	}
	add(featureBTF, "no probes", tryBTF)
	add(featureRing, "no probes", func() error { return features.HaveMapType(ebpf.RingBuf) })
	add(string(Fentry), "probes cost more, if there is "+string(Kprobe), tryFentry)
	add(string(KprobeMulti), "nothing, if there is "+string(Fentry)+" or "+string(Kprobe), tryKprobeMulti)
	add(string(Kprobe), "no probes in modules before Linux 5.11, so none of RDMA regions, and on 5.10 none of direct reads", tryKprobe)
	return list
}

func tryBTF() error {
	f, err := os.Open(kernelBTF)
	if err != nil {
		return err
	}
	return f.Close()
}

func tryFentry() error {
	return tryProgram(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: testFunction},
		func(prog *ebpf.Program) (link.Link, error) {
			return link.AttachTracing(link.TracingOptions{Program: prog})
		})
}

// AttachRefused tries whether a probe can be attached, as a caller does that has given up
// privileges, and returns why not. Debian's kernels ask for CAP_SYS_ADMIN where
// kernel.perf_event_paranoid is 3, as it is there.
func AttachRefused() error {
	restore := memlock.LiftAnyhow()
	defer restore()
	return tryKprobe()
}

func tryKprobe() error {
	if _, err := os.Stat(kprobePMU); err != nil {
		return errNoKprobes
	}
	return tryProgram(ebpf.ProgramSpec{Type: ebpf.Kprobe},
		func(prog *ebpf.Program) (link.Link, error) { return link.Kprobe(testFunction, prog, nil) })
}

// tryKprobeMulti is content with a program that reads nothing, which a kernel in lockdown runs.
func tryKprobeMulti() error {
	if lockdown.Confidential(os.DirFS("/sys")) {
		return unix.EPERM
	}
	return features.HaveBPFLinkKprobeMulti()
}

// tryProgram loads a program that reads the kernel's memory, as all of ours do, and attaches it.
func tryProgram(spec ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) error {
	spec.Name = "umemstress_try"
	spec.License = "GPL"
	spec.Instructions = asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0), asm.FnProbeReadKernel.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}
	prog, err := ebpf.NewProgram(&spec)
	if err != nil {
		return err
	}
	l, err := attach(prog)
	if err == nil {
		err = l.Close()
	}
	return errors.Join(err, prog.Close())
}
