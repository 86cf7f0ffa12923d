//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"umemstress/rdma"
	"umemstress/workload/record"
)

// What carries the bytes changes nothing of what becomes of them: every backend comes to the
// verdict that this kernel is known for, and to the same counts.
func TestBackends(t *testing.T) {
	seen := map[rdma.Backend]*record.Record{}
	for _, backend := range []rdma.Backend{rdma.Uverbs, rdma.IBVerbs} {
		stdout, stderr, _ := here(t, small("--backend", string(backend), "--format", "json", "--observe", "require",
			"--bidirectional", "-q", "2", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		r := &record.Record{}
		if err := json.Unmarshal([]byte(stdout), r); err != nil {
			t.Fatalf("%s: %v in %q; %s", backend, err, stdout, stderr)
		}
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 {
			t.Errorf("%s: %s (%s), want %s; %q", backend, r.Verdict, r.Reason, *expectVerdict, r.Disagreements)
		}
		if r.Device.Backend != string(backend) || r.Device.BackendWhy != "it was asked for" {
			t.Errorf("%s: run.json has %+v", backend, r.Device)
		}
		seen[backend] = r
	}
	a, b := seen[rdma.Uverbs], seen[rdma.IBVerbs]
	for what, counts := range map[string][2]uint64{
		"operations":               {a.Traffic.Operations, b.Traffic.Operations},
		"bytes":                    {a.Traffic.Bytes, b.Traffic.Bytes},
		"stale pages":              {a.Channels.Disk.StalePages, b.Channels.Disk.StalePages},
		"pages dirtied":            {a.Channels.Probes.DirtiedPages, b.Channels.Probes.DirtiedPages},
		"pages without buffers":    {a.Channels.Probes.BufferlessPages, b.Channels.Probes.BufferlessPages},
	} {
		if counts[0] != counts[1] {
			t.Errorf("%s: %d through %s, %d through %s", what, counts[0], rdma.Uverbs, counts[1], rdma.IBVerbs)
		}
	}
}
