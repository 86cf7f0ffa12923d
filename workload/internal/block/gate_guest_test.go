//go:build guest

package block

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
)

const gateSize = 1 << 20

// newGate is a gate over a file that holds the bytes 7.
func newGate(ctx context.Context) (_ *Gate, err error) {
	f, err := file.Nameless(os.TempDir(), gateSize)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte{7}, gateSize)); err != nil {
		return nil, err
	}
	loop, err := AttachLoop(ctx, f)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	return NewGate(ctx, loop, gateSize, os.TempDir())
}

// beginRead reads all of the gate.
func beginRead(g *Gate) (into *memory.Region, done chan error, err error) {
	if into, err = memory.MapAnonymous(gateSize); err != nil {
		return nil, nil, err
	}
	done = make(chan error, 1)
	go func() {
		n, err := g.Node.ReadAt(into.Bytes, 0)
		if err == nil && n != gateSize {
			err = io.ErrUnexpectedEOF
		}
		done <- err
	}()
	return into, done, nil
}

// A read waits from when the device is suspended until it is resumed, twice.
func TestGate(t *testing.T) {
	before := worktest.Left(t)
	g, err := newGate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(g.Suspend(), g.Suspend()); err != nil {
			t.Fatal(err)
		}
		into, done, err := beginRead(g)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Errorf("a read from a suspended device ended: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		if err := errors.Join(g.Resume(), g.Resume()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || !bytes.Equal(into.Bytes, bytes.Repeat([]byte{7}, gateSize)) {
			t.Errorf("what was read is not what is there: %v", err)
		}
		if err := into.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := g.Suspend(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	worktest.WantLeft(t, before)
}

// killedReader is set for the child of TestGateKilled.
const killedReader = "UMEMSTRESS_TEST_KILLED_READER"

// TestGateKilled kills a process whose read is held, and before it what resumes the device of a
// killed process.
func TestGateKilled(t *testing.T) {
	if os.Getenv(killedReader) != "" {
		readAndSay()
	}
	for name, kill := range map[string]func(t *testing.T, reader int){
		"alone":            func(*testing.T, int) {},
		"after a guard":    func(t *testing.T, reader int) { killGuard(t, reader) },
		"after its guards": killEachGuard,
	} {
		t.Run(name, func(t *testing.T) { killReader(t, kill) })
	}
}

func killReader(t *testing.T, first func(t *testing.T, reader int)) {
	before := worktest.Left(t)
	reader, line, err := worktest.StartChild(t, "TestGateKilled", killedReader+"=1")
	device := strings.TrimSpace(line)
	if err != nil || !isMapped(t, device) {
		t.Errorf("the child made no device, but said %q, %v", line, err)
	}
	first(t, reader.Process.Pid)
	if err := reader.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- reader.Wait() }()
	select {
	case <-ended: // "signal: killed"
	case <-time.After(10 * time.Second):
		t.Error("the killed process has not ended within 10 s: nobody resumed the device")
		resumeByName(t, device)
		<-ended
	}
	worktest.Eventually(t, "the device is removed", func() bool { return !isMapped(t, device) })
	worktest.Eventually(t, "the guards have ended", func() bool { return len(guardsOf(t, 0)) == 0 })
	worktest.WantLeft(t, before)
}

// readAndSay is the child: it says the name of its device when its read waits, and stays.
func readAndSay() {
	g, err := newGate(context.Background())
	if err == nil {
		err = g.Suspend()
	}
	if err == nil {
		_, _, err = beginRead(g)
	}
	if err == nil {
		time.Sleep(300 * time.Millisecond) // it is submitted by then
		fmt.Println(g.name)
		time.Sleep(time.Minute)
	}
	fmt.Fprintln(os.Stderr, errors.Join(err, errors.New("nobody came")))
	os.Exit(1)
}

// guardsOf are the guards that a process started; of any, if it is 0.
func guardsOf(t *testing.T, parent int) (found []int) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil || parent != 0 && stat.PPID != parent || stat.State == "Z" {
			continue
		}
		if arguments, err := p.CmdLine(); err == nil && slices.Contains(arguments, GuardChild) {
			found = append(found, p.PID)
		}
	}
	return found
}

// killGuard kills one of the guards and returns at once.
func killGuard(t *testing.T, reader int) {
	t.Helper()
	found := guardsOf(t, reader)
	if len(found) == 0 {
		t.Fatal("no guard is there")
	}
	if err := unix.Kill(found[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// killEachGuard kills all of them, each when the one before has a successor.
func killEachGuard(t *testing.T, reader int) {
	first := guardsOf(t, reader)
	if len(first) != pair {
		t.Fatalf("guards %d, want %d", first, pair)
	}
	for _, guard := range first {
		if err := unix.Kill(guard, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		worktest.Eventually(t, "a guard has a successor", func() bool { return len(guardsOf(t, reader)) == pair })
	}
	time.Sleep(time.Second) // the last one is ready
	if now := guardsOf(t, reader); len(now) != pair || slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(first, pid) }) {
		t.Errorf("guards %d after %d", now, first)
	}
}

func resumeByName(t *testing.T, name string) {
	t.Helper()
	control, err := openMapper()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if err := (&mapped{control: control, name: name}).Resume(); err != nil {
		t.Error(err)
	}
}
