//go:build lab

package lab

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
)

// lateRead has a read of the guest's wait for the host, where the lab can have one wait.
const lateRead = `
lateRead() {
	mkdir -p /tmp/late && mount -t 9p -o trans=virtio,version=9p2000.L,cache=none umemstress-late /tmp/late || return
	exec 3<>/tmp/late/control && read -r number <&3 || return
	dd if=/tmp/late/reads.$number of=/dev/null bs=4096 count=1 2>/dev/null &
	while ! read -r arrived <&3; do sleep 0.1; done
}
`

// gone waits until processes are gone, with all of their threads: one that waits in the kernel keeps what it has open.
func gone(t *testing.T, pids []string) {
	t.Helper()
	for _, pid := range pids {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat("/proc/" + pid); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("QEMU, process %s, is still there", pid)
			}
		}
	}
}

// A guest ends in every way that guests do while a read of it waits for the host.
func TestLateReadsEnd(t *testing.T) {
	if _, err := os.Stat("/dev/fuse"); os.Geteuid() != 0 || err != nil {
		t.Skip("the lab shares late reads where it is root and has /dev/fuse: make lab-test there")
	}
	for name, ends := range map[string]struct {
		by     string // the guest's script
		cancel bool
		wrong  func(Result, error) bool
	}{
		"the program ends": {"exit 7", false, func(r Result, err error) bool { return err != nil || r.ExitCode != 7 }},
		"it powers off":    {"echo o >/proc/sysrq-trigger; sleep 1000", false, func(_ Result, err error) bool { return !errors.As(err, new(*LabError)) }},
		"it panics":        {"echo c >/proc/sysrq-trigger", false, func(_ Result, err error) bool { return !errors.As(err, new(*CrashError)) }},
		"it is cancelled":  {"sleep 1000", true, func(_ Result, err error) bool { return !errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			marker := "umemstress.marker=" + t.TempDir()
			c, _, stderr := shell(t, lateRead+"lateRead && echo waits && "+ends.by)
			c.Append, c.NoDevice = marker, true
			out := readyWriter{make(chan struct{}, 1)}
			c.Stdout = out
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var pids []string
			waits := make(chan struct{})
			go func() {
				defer close(waits)
				select {
				case <-out.ready:
				case <-ctx.Done(): // of a guest that has not come so far
					return
				}
				pids = labtest.QEMUs(t, marker)
				if ends.cancel {
					cancel()
				}
			}()
			begun := time.Now()
			result, err := Run(ctx, c)
			if ends.wrong(result, err) || time.Since(begun) > time.Minute {
				t.Errorf("%+v, %v, after %v: %s", result, err, time.Since(begun), stderr)
			}
			cancel()
			<-waits
			gone(t, pids)
		})
	}
}
