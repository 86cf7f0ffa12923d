package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"umemstress/soft-roce/lab/internal/labtest"
)

// fakeHost is a host with the CPU flags and, if asked for, a /dev/kvm.
func fakeHost(t *testing.T, flags string, kvm bool) AccelHost {
	t.Helper()
	dir := t.TempDir()
	h := AccelHost{Proc: dir, KVM: filepath.Join(dir, "kvm"), Remember: filepath.Join(dir, "cache/trial.json"), Stock: true}
	if err := os.MkdirAll(filepath.Join(dir, "sys/kernel/random"), 0o755); err != nil {
		t.Fatal(err)
	}
	labtest.WriteFile(t, filepath.Join(dir, "cpuinfo"), "processor\t: 0\nvmx flags\t: ept\nflags\t\t: "+flags+"\n")
	labtest.WriteFile(t, filepath.Join(dir, "sys/kernel/random/boot_id"), "boot-1\n")
	if kvm {
		labtest.WriteFile(t, h.KVM, "")
	}
	return h
}

func TestChooseAccelerator(t *testing.T) {
	fails := func(ctx context.Context) error { return errors.New("'true' failed in it") }
	works := func(ctx context.Context) error { return nil }
	for _, tt := range []struct {
		name   string
		host   AccelHost
		trial  func(context.Context) error // nil: must not be made
		want   Accel
		reason string
	}{
		{"no virtualization, device there", fakeHost(t, "fpu sse", true), nil, TCG, "neither vmx nor svm"},
		{"no device", fakeHost(t, "fpu vmx", false), nil, TCG, "no such file"},
		{"guests fail", fakeHost(t, "fpu vmx", true), fails, TCG, "no guest came up"},
		{"Intel", fakeHost(t, "fpu vmx", true), works, KVM, "a guest came up"},
		{"AMD", fakeHost(t, "svm fpu", true), works, KVM, "a guest came up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trial := tt.trial
			if trial == nil {
				trial = func(context.Context) error { t.Error("a trial was made"); return nil }
			}
			got, err := tt.host.Choose(t.Context(), trial)
			if err != nil || got.Accel != tt.want || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("choose = %+v, %v; want %s because of %q", got, err, tt.want, tt.reason)
			}
		})
	}
}

// hang is a trial whose guest does not come up.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTrialOncePerBoot(t *testing.T) {
	h := fakeHost(t, "vmx", true)
	trials := 0
	choose := func(want int) {
		t.Helper()
		// The time that a guest is waited for does not pass in a bubble.
		synctest.Test(t, func(t *testing.T) {
			got, err := h.Choose(t.Context(), func(ctx context.Context) error { trials++; return hang(ctx) })
			if err != nil || got.Accel != TCG || trials != want {
				t.Errorf("Choose = %+v, %v after %d trials, want %d", got, err, trials, want)
			}
		})
	}
	choose(1)
	choose(1)
	labtest.WriteFile(t, filepath.Join(h.Proc, "sys/kernel/random/boot_id"), "boot-2\n")
	choose(2)
	// What cannot be read is no outcome.
	labtest.WriteFile(t, h.Remember, "{")
	choose(3)
	choose(3)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(h.Remember), ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

type lacking struct{ error }

func (lacking) HostLacks() bool { return true }

// A trial that says nothing of the host's KVM is not remembered.
func TestTrialThatDecidesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		stock bool
		trial func(context.Context) error
		lacks bool
	}{
		"a kernel of one's own hangs": {stock: false, trial: hang},
		"the guest's kernel crashes":  {stock: true, trial: func(context.Context) error { return errors.New("Kernel panic") }},
		"the host has no mke2fs": {stock: true, lacks: true, trial: func(context.Context) error {
			return fmt.Errorf("scratch disk: %w", lacking{errors.New("no mke2fs")})
		}},
	} {
		h := fakeHost(t, "vmx", true)
		h.Stock = tt.stock
		synctest.Test(t, func(t *testing.T) {
			got, err := h.Choose(t.Context(), tt.trial)
			var lacks lacking
			if errors.As(err, &lacks) != tt.lacks || !tt.lacks && got.Accel != TCG {
				t.Errorf("%s: Choose = %+v, %v", name, got, err)
			}
		})
		if _, err := os.Stat(h.Remember); !os.IsNotExist(err) {
			t.Errorf("%s: the outcome was remembered: %v", name, err)
		}
	}
}

func TestInterruptedTrialDecidesNothing(t *testing.T) {
	h := fakeHost(t, "vmx", true)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := h.Choose(ctx, func(context.Context) error { cancel(); return context.Canceled })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("choose = %v, want context.Canceled", err)
	}
	if _, err := os.Stat(h.Remember); !os.IsNotExist(err) {
		t.Errorf("the outcome was remembered: %v", err)
	}
}
