package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// fakeHost is a host with the CPU flags and, if asked for, a /dev/kvm.
func fakeHost(t *testing.T, flags string, kvm bool) AccelHost {
	t.Helper()
	dir := t.TempDir()
	h := AccelHost{Proc: dir, KVM: filepath.Join(dir, "kvm"), Remember: filepath.Join(dir, "cache/trial.json")}
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
	hangs := func(ctx context.Context) error { return errors.New("not finished after 10s") }
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
		{"device hangs guests", fakeHost(t, "fpu vmx", true), hangs, TCG, "no guest came up"},
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

func TestTrialOncePerBoot(t *testing.T) {
	h := fakeHost(t, "vmx", true)
	trials := 0
	trial := func(context.Context) error { trials++; return errors.New("hangs") }
	for range 2 {
		if got, err := h.Choose(t.Context(), trial); err != nil || got.Accel != TCG {
			t.Fatalf("choose = %+v, %v", got, err)
		}
	}
	if trials != 1 {
		t.Errorf("%d trials in one boot of the host, want 1", trials)
	}
	labtest.WriteFile(t, filepath.Join(h.Proc, "sys/kernel/random/boot_id"), "boot-2\n")
	if _, err := h.Choose(t.Context(), trial); err != nil || trials != 2 {
		t.Errorf("%d trials after another boot, %v; want 2", trials, err)
	}
	// What cannot be read is no outcome.
	labtest.WriteFile(t, h.Remember, "{")
	if _, err := h.Choose(t.Context(), trial); err != nil || trials != 3 {
		t.Errorf("%d trials after the file was damaged, %v; want 3", trials, err)
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
