//go:build guest

package block

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/worktest"
)

// TestOpenNode opens a device for which /dev has no node dm-N: a loop device,
// whose number is another driver's.
func TestOpenNode(t *testing.T) {
	var want, got unix.Stat_t
	if err := unix.Stat(fastDevice(t, 1<<20), &want); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := openNode(want.Rdev, dir, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &got); err != nil || got.Rdev != want.Rdev {
		t.Errorf("opened device %#x, %v; want %#x", got.Rdev, err, want.Rdev)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

// TestGateFails wants a device-mapper device that could not be started to be gone.
func TestGateFails(t *testing.T) {
	before := worktest.Left(t)
	file, err := file.Nameless(os.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewGate(t.Context(), file, 1<<20, t.TempDir()); err == nil {
		t.Error("a gate over a file, which is no device")
	} else {
		t.Log(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	worktest.WantLeft(t, before)
}

// killedMaker is set for the child of TestMappedKilled.
const killedMaker = "UMEMSTRESS_TEST_KILLED_MAKER"

// TestMappedKilled kills a process that has made a device-mapper device and has not
// yet told the kernel to remove it.
func TestMappedKilled(t *testing.T) {
	if os.Getenv(killedMaker) != "" {
		createAndSay()
	}
	child, line, err := worktest.StartChild(t, "TestMappedKilled", killedMaker+"=1")
	name := strings.TrimSpace(line)
	if err != nil || !isMapped(t, name) {
		t.Errorf("the child made no device, but said %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // "signal: killed"
	worktest.Eventually(t, "the device is removed", func() bool { return !isMapped(t, name) })
	if err := remove(name); err != nil {
		t.Errorf("to remove it again: %v", err)
	}
}

// createAndSay is the child: it says the name of its device on standard output and
// stays.
func createAndSay() {
	control, err := loadMapper(context.Background())
	g := &Gate{mapped: mapped{control: control, name: fmt.Sprintf("umemstress-test-%d", os.Getpid())}}
	if err == nil {
		var undo *child.Janitor
		if undo, err = startMappedJanitor(); err == nil {
			err = g.create(undo)
		}
	}
	fmt.Println(g.name)
	if err == nil {
		time.Sleep(time.Minute)
	}
	fmt.Fprintln(os.Stderr, errors.Join(err, errors.New("nobody came")))
	os.Exit(1)
}

// isMapped says whether the device mapper has a device of that name.
func isMapped(t *testing.T, name string) bool {
	t.Helper()
	control, err := openMapper()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	err = (&mapped{control: control, name: name}).ask(&request{}, unix.DM_DEV_STATUS, 0)
	if err != nil && !errors.Is(err, unix.ENXIO) {
		t.Fatal(err)
	}
	return err == nil
}

// fastDevice is a loop device of so many bytes, which goes with the test.
func fastDevice(t *testing.T, size int64) string {
	t.Helper()
	f, err := file.Nameless(os.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := AttachLoop(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	return loop.Name()
}

// Who is interrupted looks for no loop device any more.
func TestAttachLoopInterrupted(t *testing.T) {
	before := worktest.Left(t)
	f, err := file.Nameless(os.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if loop, err := AttachLoop(ctx, f); !errors.Is(err, context.Canceled) || loop != nil {
		t.Errorf("%v, %v", loop, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	worktest.WantLeft(t, before)
}
