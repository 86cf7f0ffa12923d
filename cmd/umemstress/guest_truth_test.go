//go:build guest

package main

import (
	"encoding/json"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/probes/observe"
	"umemstress/workload/record"
)

var expectLarge = flag.Bool("expect-large", false, "ext4 of this kernel has large folios (since 6.16), and splits those that are pinned")

// What is told to be dirtied without buffers, and then dropped, is what ext4 itself counts: one
// warning for each page, and for each large folio. Of a direct read, it happens on kernels that
// refuse RDMA such memory as well, and of a VMCI queue pair on every kernel.
func TestObserveTruth(t *testing.T) {
	haveModules(t, modulesOfVMCI) // all the while, as where VMCI is in use: TestObserveLater has them come later
	dropped := uint64(0)
	for _, scenario := range []string{"dio/ext4/pageout/none", "dio/ext4/pageout/none/large", "vmci/ext4/pageout/none"} {
		o := beginObserving(t)
		stdout, stderr, _ := outcome(t, small("--scenario", scenario, "--observe", "off", "--allow-crash", "--format", "json",
			"-o", filepath.Join(t.TempDir(), "evidence"))...)
		var r record.Record
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v in %q; %s", err, stdout, stderr)
		}
		rise, known := r.Channels.WarningRise()
		summary, _ := o.end(t)
		total := summary.Total()
		if !known || total.Dropped != uint64(rise) || o.bufferlessFolios() != uint64(rise) || summary.Lost.Any() {
			t.Errorf("%s: ext4 warned %d times (%v); told: %d folios dirtied without buffers; %+v", scenario, rise, known, o.bufferlessFolios(), summary)
		}
		t.Logf("%s: %d warnings, %+v", scenario, rise, total)
		dropped = total.Dropped
	}
	if dropped == 0 {
		t.Error("no folio was dropped that a VMCI queue pair had dirtied")
	}
}

// What large folios lose while a direct read holds a part of one is told as it happens, and whose it is:
// that the split of the folio takes its buffers, that the release dirties it, and that writeback drops
// it; and, where a hole is punched beside the part, that what is dirtied is no longer the file's.
func TestObserveLarge(t *testing.T) {
	if !*expectLarge {
		t.Skip("say -expect-large on a kernel whose ext4 has large folios, as 'make guest-sid' does")
	}
	run := func(scenario string) (o *observation, pages, rise uint64) {
		o = beginObserving(t, "--fs", "ext4", "--stack")
		r, code := ran(t, "--scenario", scenario, "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
		rise, _ = r.Channels.WarningRise()
		if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || r.Channels.Folios.State != record.StateOK {
			t.Fatalf("%s: %s (%s), exit code %d, %+v", scenario, r.Verdict, r.Reason, code, r.Channels.Folios)
		}
		return o, uint64(r.Regions[0].Pages), rise
	}
	of := func(o *observation, event string) observe.Line {
		t.Helper()
		l := o.await(t, func(l observe.Line) bool { return l.Event == event })
		// Whose a read by one request is, is known once it is over.
		if event != "stripped" && (l.Holder != "dio" || l.Owner == nil || l.Owner.PID == 0) {
			t.Errorf("%+v: whose is it", l)
		}
		return l
	}
	split := func(l observe.Line) {
		t.Helper()
		if !slices.ContainsFunc(l.Stack, func(f string) bool { return strings.HasPrefix(f, "__folio_split+") }) || l.Folios == 0 || l.Folios >= l.Pages {
			t.Errorf("no split of a large folio: %+v", l)
		}
	}
	o, _, rise := run("dio/ext4/pageout/none/large")
	stripped, dirtied, dropped := of(o, "stripped"), of(o, "dirtied"), of(o, "dropped")
	split(stripped)
	if !dirtied.Bufferless || dirtied.Folios >= dirtied.Pages || !stripped.Time.Before(dirtied.Time) || !dirtied.Time.Before(dropped.Time) {
		t.Errorf("stripped %+v\ndirtied %+v\ndropped %+v", stripped, dirtied, dropped)
	}
	summary, _ := o.end(t)
	if total := summary.Total(); total.Dropped != rise || rise == 0 || total.Bufferless != total.Stripped || total.Detached != 0 || summary.Lost.Any() {
		t.Errorf("ext4 warned %d times; %+v", rise, summary)
	}
	t.Logf("told:\n%s", o.told())

	o, pages, rise := run("dio/ext4/none/punch-beside/large")
	split(of(o, "stripped")) // which fails, and leaves the folio to be taken from the file
	if dirtied := of(o, "dirtied"); !dirtied.Detached || dirtied.Bufferless || dirtied.Folios >= dirtied.Pages {
		t.Errorf("%+v", dirtied)
	}
	summary, _ = o.end(t)
	if total := summary.Total(); total.Detached < pages || total.Stripped != total.Detached || total.Bufferless+total.Dropped+rise != 0 || summary.Lost.Any() {
		t.Errorf("ext4 warned %d times; %+v", rise, summary)
	}
	t.Logf("told:\n%s", o.told())
}

// bufferlessFolios is of how many it was told that they were dirtied without buffers.
func (o *observation) bufferlessFolios() (sum uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.lines {
		if l.Event == "dirtied" && l.Bufferless {
			sum += l.Folios
		}
	}
	return sum
}
