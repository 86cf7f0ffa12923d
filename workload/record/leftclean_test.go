package record

import (
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// unmarked are 8 pages of a holder that marks none, of which so many are stale on disk.
func unmarked(fs, probes string, stale uint64) *Record {
	r := record(fs, "done", probes, "nothing", "stale", "absent")
	r.Host.PageSize = 4096
	r.Facts = &scenario.Facts{DropsBufferless: fs == "ext4", Heals: fs == "ext4", LeftClean: scenario.LeftCleanAll}
	r.Channels.WarningCount = WarningCountChannel{State: StateOK, Before: count(3), After: count(3)}
	r.Channels.Disk.StalePages = stale
	return r
}

// Who marks no page dirty loses them whatever their folios are, and no witness who saw nothing dirtied contradicts
// that, nor if some had been dirty already; but none that was seen dirtied is told of so.
func TestNothingMarked(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		for _, probes := range []string{"nothing", "absent"} {
			for _, stale := range []uint64{8, 5} {
				r := unmarked(fs, probes, stale)
				r.Conclude()
				which, pages := r.LeftClean()
				if r.Verdict != DataLost || len(r.Disagreements) > 0 || !strings.Contains(r.Reason, "8 pages were let go without being marked dirty") || which != scenario.LeftCleanAll || pages != 8 {
					t.Errorf("%s, %s, %d stale: %s: %s; %q", fs, probes, stale, r.Verdict, r.Reason, r.Disagreements)
				}
			}
		}
		marked := unmarked(fs, "nothing", 8)
		marked.Channels.Probes.DirtiedPages = 8 // as a kernel would that is mended
		if v, why := Judge(marked); v != Inconclusive || strings.Contains(why, "let go") {
			t.Errorf("%s: %s: %s", fs, v, why)
		}
		more := unmarked(fs, "nothing", 8)
		more.Channels.Probes.DirtiedPages = 2
		if _, pages := more.LeftClean(); pages != 6 {
			t.Errorf("%s: %d of 8 pages were left clean, and 2 dirtied", fs, pages)
		}
	}
	gone := unmarked("xfs", "nothing", 8) // with a hole, and from the page cache, too
	gone.Facts.Detaches, gone.Scenario.Mutation = true, "punch"
	gone.Channels.Cache = CacheChannel{State: StateOK, CheckedPages: 8, StalePages: 8}
	which, pages := gone.LeftClean()
	if v, why := Judge(gone); v != DataLost || strings.Contains(why, "let go") || which != scenario.LeftCleanNone || pages != 0 {
		t.Errorf("%s: %s; %q, %d pages", v, why, which, pages)
	}
	told := unmarked("ext4", "nothing", 8)
	told.Channels.WarningCount.After = count(12)
	told.Conclude()
	if len(told.Disagreements) == 0 {
		t.Errorf("9 warnings of 8 stale pages are no disagreement: %s", told.Reason)
	}
}
