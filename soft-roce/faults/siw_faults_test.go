//go:build faults

package faults

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/probes/observe"
	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// observedOverSiw runs the rest of its arguments with an observer beside it, whose lines go to its first.
const observedOverSiw = `
	lines=$1; shift
	"$1" observe --format json --stack >"$lines" &
	until [ -s "$lines" ]; do sleep 0.1; done
	"$@"
	sleep 2 # what happened is told by then`

// soft-iWARP of that kernel pins and releases pages by code of its own, and the kernel dies of them as of those of soft-RoCE. Both
// an observer and the run see who had pinned which pages and from where they were dirtied.
func TestCrashOverSiw(t *testing.T) {
	haveUnfixed(t)
	dir := t.TempDir()
	lines, into := filepath.Join(dir, "lines"), filepath.Join(dir, "evidence")
	p := start(t, nil, program(t), "lab", "exec", "--kernel", unfixed, "--cpus", "1", "--timeout", "2m", "--share", dir, "--serial", filepath.Join(dir, "console"), "--",
		"sh", "-ec", matrix.WithSiw, "sh", "sh", "-c", observedOverSiw, "sh", lines,
		program(t), "run", "--ib-dev", matrix.SiwDevice, "--rdma-cm", "--file-size", "4M", "--anon-size", "4M", "--allow-crash", "--output", into)
	if !p.ended(3*time.Minute) || p.code() != lab.ExitCrashed {
		t.Fatalf("the kernel did not die: %s", p)
	}
	const pages = 4 << 20 / 4096
	told := linesIn(t, lines)
	for _, event := range []string{"pinned", "stripped", "dirtied", "released"} {
		l := told[event]
		if l.Holder != "rdma" || l.Owner == nil || !strings.HasPrefix("umemstress-ibverbs", l.Owner.Comm) || l.Filesystem != "ext4" || l.RDMADevice != matrix.SiwDevice || event != "stripped" && l.Pages != pages {
			t.Errorf("%s: %+v", event, l)
		}
	}
	if r := told["released"]; r.BufferlessPages != pages || r.SinceBefore {
		t.Errorf("released: %+v", r)
	}
	for event, function := range map[string]string{"pinned": "siw_reg_user_mr", "dirtied": "siw_umem_release"} {
		if stack := strings.Join(told[event].Stack, " "); !strings.Contains(stack, function) {
			t.Errorf("the stack of %s has no %s: %s", event, function, stack)
		}
	}
	r, err := evidence.Load(into)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != record.Crashed || r.Device.Name != matrix.SiwDevice || r.Channels.Probes.BufferlessPages != pages {
		t.Errorf("%s (%s), %+v, %+v", r.Verdict, r.Reason, r.Device, r.Channels.Probes)
	}
	ofSiw := func(frames []string) bool { return strings.Contains(strings.Join(frames, " "), "siw_umem_release") }
	if stacks := slices.Collect(maps.Values(r.Channels.Probes.Stacks)); !slices.ContainsFunc(stacks, ofSiw) {
		t.Errorf("no stack of the run's has siw's release: %q", stacks)
	}
}

// linesIn are an observer's, the last of each event. The machine may have died in the midst of the last one.
func linesIn(t *testing.T, path string) map[string]observe.Line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := map[string]observe.Line{}
	for decoder := json.NewDecoder(f); ; {
		var l observe.Line
		if err := decoder.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			return told
		}
		told[l.Event] = l
	}
}
