//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"umemstress/workload/record"
)

// What is told to be dirtied without buffers, and then dropped, is what ext4 itself counts: one
// warning for each page, and for each large folio. Of a direct read, it happens on kernels that
// refuse RDMA such memory as well, and of a VMCI queue pair on every kernel.
func TestObserveTruth(t *testing.T) {
	haveModules(t, modulesOfVMCI) // an observer attaches to what there is when it begins
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
