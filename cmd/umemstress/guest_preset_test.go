//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"

	"umemstress/workload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// presetVerdicts are what the presets of one scenario prove, on a kernel on which
// quick proves the verdict that is the key: it tells whether reclaim spares pages
// that RDMA pins, and whether direct reads pin as RDMA does.
var presetVerdicts = map[record.Verdict]map[string]record.Verdict{
	record.DataLost: {"quick": record.DataLost, "customer": record.DataLost, "kara": record.DataLost, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
	record.Clean:    {"quick": record.Clean, "customer": record.Clean, "kara": record.DataLost, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
	record.Refused:  {"quick": record.Refused, "customer": record.Refused, "kara": record.Clean, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
}

// Each preset gives its verdict, and it is about every page of the file. The minutes of
// customer and longterm are made seconds. The files are small, since the pages that ext4 drops stay
// counted as dirty in this guest, and the flusher would come before the other tests'
// first write.
func TestPresets(t *testing.T) {
	expected, known := presetVerdicts[record.Verdict(*expectVerdict)]
	if !known {
		t.Fatalf("-expect-verdict=%q", *expectVerdict)
	}
	for _, preset := range workload.Presets() {
		if preset.Name == workload.Everything {
			continue
		}
		t.Run(preset.Name, func(t *testing.T) {
			before := tracks(t)
			args := []string{"run", "--preset", preset.Name, "--file-size", "8M", "--anon-size", "8M",
				"--observe", "require", "--format", "json", "-o", filepath.Join(t.TempDir(), "evidence")}
			if preset.Name == "customer" || preset.Name == "longterm" {
				args = append(args, "-D", "1")
			}
			stdout, stderr, code := outcome(t, args...)
			var r record.Record
			if err := json.Unmarshal([]byte(stdout), &r); err != nil {
				t.Fatalf("%v in %q; %s", err, stdout, stderr)
			}
			if want := expected[preset.Name]; r.Verdict != want || code != exit.Code(verdictStatus(want)) {
				t.Errorf("%s (%s), exit code %d; want %s", r.Verdict, r.Reason, code, want)
			}
			if hit, of := harmed(&r); hit != of {
				t.Errorf("%d of %d pages: %s", hit, of, r.Reason)
			}
			if len(r.Disagreements) > 0 {
				t.Errorf("channels disagree: %q", r.Disagreements)
			}
			for _, phase := range r.Phases {
				writes := phase.Name == scenario.PhaseWrite || phase.Name == scenario.PhaseWriteAgain
				if writes && phase.Seconds < float64(r.Settings.Seconds) {
					t.Errorf("the phase %s of %d s took %v s", phase.Name, r.Settings.Seconds, phase.Seconds)
				}
			}
			if after := tracks(t); after != before {
				t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// harmed is how many pages the verdict is about, of how many.
func harmed(r *record.Record) (hit, of uint64) {
	switch r.Verdict {
	case record.DataLost:
		return r.Channels.Disk.StalePages, uint64(r.Regions[0].Pages)
	case record.Corrupted:
		return r.Channels.Clone.ChangedPages, uint64(r.Regions[0].Pages)
	}
	return 0, 0
}
