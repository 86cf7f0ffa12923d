//go:build guest

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
	"umemstress/rdma"
)

// lengthsByNumber are those of the regions that this process has by now, as the kernel lists them.
func lengthsByNumber(t *testing.T) map[uint32]uint64 {
	t.Helper()
	out, err := exec.Command("rdma", "-j", "resource", "show", "mr").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list []struct {
		PID    int
		MRN    uint32
		Length uint64 `json:"mrlen"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	found := map[uint32]uint64{}
	for _, mr := range list {
		// On 5.10 the PID is that of the thread that registered it.
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", mr.PID)); err == nil {
			found[mr.MRN] = mr.Length
		}
	}
	return found
}

// A region is told by the number that the kernel lists it by, when it is pinned and when it is released,
// also amid others of no file and of a length that others have, and by an observer that came later. A
// program that registers many has each of them told.
func TestObserveNumbers(t *testing.T) {
	if *expectVerdict == "refused" {
		return // nothing is pinned that could have one
	}
	file, mem := mappedFile(t, 16)
	pd := protectionDomain(t)
	var held []*rdma.MR
	register := func(memory []byte) {
		t.Helper()
		mr, err := pd.RegisterMR(memory, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, mr)
	}
	o := beginObserving(t)
	anonymous := make([]byte, 3<<12)
	for pages := range 3 {
		register(anonymous[:4096*(pages+1)])
		register(mem[:4096*(pages+1)])
		register(mem[4096 : 4096*(pages+2)])
	}
	listed := lengthsByNumber(t)
	late := beginObserving(t)
	if err := file.Sync(); err != nil { // so that there is something to dirty
		t.Fatal(err)
	}
	for _, mr := range held {
		if err := mr.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const many = 1000
	for range many {
		register(mem[:4096])
		if err := held[len(held)-1].Close(); err != nil {
			t.Fatal(err)
		}
	}
	numbers := func(o *observation, event string) (_ []uint32, all int) {
		t.Helper()
		var found []uint32
		for _, l := range o.all(event) {
			if l.MRN == nil {
				t.Errorf("no number: %+v", l)
				continue
			}
			if length, is := listed[*l.MRN]; is && length != l.Bytes {
				t.Errorf("%d is of %d bytes, and told to be of %d", *l.MRN, length, l.Bytes)
			} else if is {
				found = append(found, *l.MRN)
			}
		}
		slices.Sort(found)
		return slices.Compact(found), len(o.all(event))
	}
	const files = 6 // regions of a file, before the many
	for who, observed := range map[string]*observation{"first": o, "late": late} {
		summary, code := observed.end(t)
		if code != exit.Clean || summary.Lost.Any() {
			t.Errorf("%s: exit code %d, %+v", who, code, summary)
		}
		pinned, pins := numbers(observed, "pinned")
		released, releases := numbers(observed, "released")
		t.Logf("%s: pinned %d, released %d of %v", who, pinned, released, listed)
		if len(pinned) != files || pins != files+many {
			t.Errorf("%s: %d pins, of which %d are %d", who, pins, files, pinned)
		}
		// Of what was pinned before, those are told that dirtied a page: at least the ones that did before another.
		told := len(released) == files || who == "late" && len(released) >= 4
		stray := slices.ContainsFunc(released, func(n uint32) bool { return !slices.Contains(pinned, n) })
		if !told || stray || releases != len(released)+many {
			t.Errorf("%s: %d releases, of which before the others %d", who, releases, released)
		}
	}
}

// all are the lines of an event.
func (o *observation) all(event string) (found []observe.Line) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.lines {
		if l.Event == event {
			found = append(found, l)
		}
	}
	return found
}
