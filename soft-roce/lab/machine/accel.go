package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

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
	// What a newer CPU has costs time in emulation: five-level page tables, and
	// AVX with its state to save at each switch. A run takes 4.2 s on "max" where
	// it takes 3.0 s on this one, which has all that x86-64-v2 asks for. Pages of 1 GiB
	// cost nothing.
	//
	// One thread runs all of a guest's processors in turn. With a thread each, QEMU 7.2
	// was seen to keep the translation of a breakpoint that another processor had just
	// taken away, as kernels do when a probe is attached: both processors then ran into
	// it for ever, or the kernel died of an int3 that nobody had set. The tests that
	// need a kernel take as long as before.
	//
	// QEMU keeps up to 1 GiB of translations, those of programs that have ended too. Each
	// store to a page that has some looks through all of them (page_collection_lock,
	// accel/tcg/translate-all.c, 7.2): clearing a huge page of what had been programs
	// took the guest half a minute. A small buffer is emptied before they are so many,
	// and what is still in use is translated again: of 64, 128 and 256 MiB, a quick run
	// on 5.10 took 2.8, 2.2 and 2.2 s, one on xfs on 7.2 6.2, 3.8 and 2.7 s, and filling
	// 600 MiB of huge pages after many programs 7.4, 7.2 and 8.4 s.
	return []string{"-accel", "tcg,thread=single,tb-size=128", "-cpu", "Nehalem,+pdpe1gb"}
}

// AccelHost is where the decision looks.
type AccelHost struct {
	Proc     string // the file system mounted on /proc
	KVM      string // /dev/kvm
	Remember string // file for the outcome of the trial
	Stock    bool   // the trial's kernel works elsewhere: it hangs only where KVM does
}

// Choice is an accelerator and why it is taken.
type Choice struct {
	Accel  Accel
	Reason string
	BootID string // of the host on which the trial was made
}

// trialTime is ample for a guest under KVM, which boots in about a second.
const trialTime = 10 * time.Second

// Choose takes KVM only if the CPU has virtualization, the device can be opened,
// and a guest came up in a trial: there are hosts, virtual machines themselves,
// whose /dev/kvm opens and whose guests then hang. The trial is made once per
// boot of the host. Of one that failed only the hang of a stock kernel tells of the
// host; what else went wrong is tried again by the next guest, and an error that says
// that the host or the caller lacks something is returned.
func (h AccelHost) Choose(ctx context.Context, trial func(context.Context) error) (Choice, error) {
	cpuinfo, err := os.ReadFile(filepath.Join(h.Proc, "cpuinfo"))
	if err != nil {
		return Choice{}, err
	}
	if !hasVirtualization(string(cpuinfo)) {
		return Choice{Accel: TCG, Reason: "the CPU has neither vmx nor svm"}, nil
	}
	f, err := os.OpenFile(h.KVM, os.O_RDWR, 0)
	if err != nil {
		return Choice{Accel: TCG, Reason: err.Error()}, nil
	}
	f.Close()
	raw, err := os.ReadFile(filepath.Join(h.Proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return Choice{}, err
	}
	bootID := strings.TrimSpace(string(raw))
	if c, ok := h.recall(bootID); ok {
		return c, nil
	}
	c := Choice{Accel: KVM, Reason: "a guest came up with it", BootID: bootID}
	trialCtx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	if err := trial(trialCtx); ctx.Err() != nil {
		return Choice{}, ctx.Err()
	} else if isFault(err) {
		return Choice{}, err
	} else if err != nil {
		c.Accel, c.Reason = TCG, fmt.Sprintf("no guest came up with KVM: %v", err)
		if trialCtx.Err() == nil || !h.Stock {
			return c, nil
		}
	}
	return c, h.keep(c)
}

// isFault tells whether an error is of the host or of the caller, and not of a guest.
func isFault(err error) bool {
	var lacks interface{ HostLacks() bool }
	var usage interface{ Usage() bool }
	return errors.As(err, &lacks) && lacks.HostLacks() || errors.As(err, &usage) && usage.Usage()
}

func hasVirtualization(cpuinfo string) bool {
	for line := range strings.Lines(cpuinfo) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) != "flags" {
			continue
		}
		flags := strings.Fields(value)
		return slices.Contains(flags, "vmx") || slices.Contains(flags, "svm")
	}
	return false
}

func (h AccelHost) recall(bootID string) (Choice, bool) {
	var c Choice
	raw, err := os.ReadFile(h.Remember)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return Choice{}, false // the trial is made again
	}
	return c, c.BootID == bootID
}

func (h AccelHost) keep(c Choice) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	dir := filepath.Dir(h.Remember)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), h.Remember)
}
