//go:build guest

package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"umemstress/probes/observe"
	"umemstress/rdma"
)

var crowdOf = flag.Int("crowd", 10_000, "how many processes TestObserveCrowd has pin at once")

// A crowd is many processes that each hold a page of a file.
type crowd struct {
	cmd   *exec.Cmd
	said  *bufio.Reader
	stdin io.Closer
	size  int
}

// gather starts a crowd: 'make guest-programs' puts its program beside this one.
func gather(t *testing.T, file *os.File, size int) *crowd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{cmd: exec.Command(filepath.Join(filepath.Dir(self), "crowd"), device.Name, file.Name(), strconv.Itoa(size)), size: size}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.said = bufio.NewReader(out)
		c.stdin, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // an error: it has ended already
		_ = c.cmd.Wait()
	})
	return c
}

// await wants all of it to have done the same.
func (c *crowd) await(t *testing.T, what string) {
	t.Helper()
	begun := time.Now()
	if line, err := c.said.ReadString('\n'); err != nil || line != fmt.Sprintf("%s %d\n", what, c.size) {
		t.Fatalf("the crowd said %q, %v", line, err)
	}
	t.Logf("%s: %s", what, time.Since(begun).Round(time.Millisecond))
}

// Of 10,000 processes that pin a page each, all at once, and let go of it all at once, each is counted, or
// what is not is told to the last; the observer takes no more than else, and does not stall. Its guest
// has 4 GiB of memory, and a kernel that grants the pin.
func TestObserveCrowd(t *testing.T) {
	n := uint64(*crowdOf)
	file := pinnedFile(t, *crowdOf)
	o := beginObserving(t)
	g := newGauge(t, o)
	c := gather(t, file, *crowdOf)
	c.await(t, "pinned")
	if err := file.Sync(); err != nil { // so that the release dirties what was clean
		t.Fatal(err)
	}
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	c.await(t, "released")
	if err := c.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	o.catchUp(t)
	peak := field(t, fmt.Sprintf("/proc/%d/status", g.pid), "VmHWM:") << 10
	begun := time.Now()
	summary, _ := o.end(t)
	lines, owners := o.events(), o.owners("pinned")
	total, lost := summary.Total(), summary.Lost
	t.Logf("told: %v, %d owners; ended in %s; peak %d KiB; %+v", lines, len(owners), time.Since(begun).Round(time.Millisecond), peak>>10, summary)
	if summary.Pinned+lost.Pins < n || summary.Pinned > n {
		t.Errorf("%d regions were pinned, and %d pins lost, of %d", summary.Pinned, lost.Pins, n)
	}
	if dirtied := total.Dirtied + lost.Pages; dirtied > n || dirtied+lost.Releases < n {
		t.Errorf("%d pages were dirtied, and %d not counted, in %d releases that were not followed, of %d", total.Dirtied, lost.Pages, lost.Releases, n)
	}
	// Each of what the kernel's side counted is an event: a page is dirtied for itself.
	if counted := summary.Pinned + total.Dirtied + lost.Pages + summary.Released; lines["pinned"]+lines["dirtied"]+lines["released"]+lost.Events+lost.Output != counted {
		t.Errorf("told of %v, and %d and %d lost, of %d events", lines, lost.Events, lost.Output, counted)
	}
	if uint64(len(owners)) != lines["pinned"] {
		t.Errorf("%d pins were told, in the names of %d processes", lines["pinned"], len(owners))
	}
	if peak > maxResident {
		t.Errorf("the observer took %d bytes", peak)
	}
}

// catchUp returns once nothing more is told. Who goes on telling has not stalled.
func (o *observation) catchUp(t *testing.T) {
	t.Helper()
	const still = 5 * time.Second // a line each second is about losses alone
	begun := time.Now()
	sum := func() (n uint64) {
		events := o.events()
		return events["pinned"] + events["dirtied"] + events["released"]
	}
	for before, since := sum(), begun; time.Since(since) < still; time.Sleep(100 * time.Millisecond) {
		if now := sum(); now != before {
			before, since = now, time.Now()
		}
		if time.Since(begun) > 5*time.Minute {
			t.Fatalf("it has not caught up: %v", o.events())
		}
	}
	t.Logf("caught up: %s", (time.Since(begun) - still).Round(time.Millisecond))
}

// events is how many of each were told.
func (o *observation) events() map[string]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := map[string]uint64{}
	for _, l := range o.lines {
		sum[l.Event]++
	}
	return sum
}

// owners are the processes in whose names an event was told.
func (o *observation) owners(event string) map[observe.Process]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := map[observe.Process]bool{}
	for _, l := range o.lines {
		if l.Event == event && l.Owner != nil {
			found[*l.Owner] = true
		}
	}
	return found
}
