package record

import (
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// large are 8 pages of a region in one folio of 16, lost with it.
func large() *Record {
	r := record("ext4", "done", "bufferless", "nothing", "stale", "absent")
	r.Host.PageSize = 4096
	r.Channels.Folios = FoliosChannel{State: StateOK, Pinned: []FolioSize{{Bytes: 16 << 12, Folios: 1, Pages: 8}}}
	r.Channels.Probes.BufferlessPages, r.Channels.Probes.BufferlessFolios = 16, 1
	r.Channels.Probes.DirtiedPages, r.Channels.Probes.DirtiedFolios = 16, 1
	r.Channels.WarningCount = WarningCountChannel{State: StateOK, Before: count(3), After: count(4)}
	return r
}

// The channels of a large folio agree: it is warned of once, dirtied as a whole, and lost
// as far as it is the region's.
func TestLargeFoliosAgree(t *testing.T) {
	r := large()
	r.Conclude()
	if r.Verdict != DataLost || len(r.Disagreements) > 0 || !strings.Contains(r.Reason, "16 pages, in 1 folios, were dirtied") {
		t.Errorf("%s: %s; %q", r.Verdict, r.Reason, r.Disagreements)
	}
}

func TestLargeFoliosDisagree(t *testing.T) {
	for want, change := range map[string]func(*Record){
		"warning_count rose by 3, and the probes counted 1 buffer-less folios": func(r *Record) { r.Channels.WarningCount.After = count(6) },
		"the probes counted no more than 4 buffer-less pages, and 8 are stale": func(r *Record) { r.Channels.Probes.BufferlessPages = 4 },
		"warning_count rose by 9 folios, and no more than 8 pages are stale":   func(r *Record) { r.Channels.WarningCount.After = count(12) },
		"warning_count rose by 1, and 8 pages are stale": func(r *Record) {
			r.Channels.Folios.Pinned = []FolioSize{{Bytes: 4096, Folios: 8, Pages: 8}}
		},
	} {
		r := large()
		change(r)
		r.Conclude()
		if !strings.Contains(strings.Join(r.Disagreements, "; "), want) {
			t.Errorf("%q lacks %q", r.Disagreements, want)
		}
	}
}

// Evidence from before folios were counted is judged as it was.
func TestSinglePagesWithoutFolios(t *testing.T) {
	r := record("ext4", "done", "bufferless", "bufferless", "stale", "absent")
	r.Conclude()
	if r.Verdict != DataLost || len(r.Disagreements) > 0 || !strings.Contains(r.Reason, "; 8 pages were dirtied") {
		t.Errorf("%s: %s; %q", r.Verdict, r.Reason, r.Disagreements)
	}
}

// Without probes, what ext4 warned of are folios where these are large.
func TestWarningsAreOfFolios(t *testing.T) {
	r := large()
	r.Channels.Probes = ProbesChannel{State: StateAbsent}
	r.Channels.Kmsg = KmsgChannel{State: StateOK, BufferlessPages: 1}
	if _, why := Judge(r); !strings.Contains(why, "1 folios were dirtied") {
		t.Error(why)
	}
}

// A thread of this run that died is the worst that can come out, whatever else was seen; one of
// somebody else's keeps a run from being clean.
func TestJudgeOopses(t *testing.T) {
	for _, c := range []struct {
		disk      string
		all, ours uint64
		want      Verdict
	}{
		{"intact", 0, 0, Clean}, {"intact", 1, 0, Inconclusive}, {"intact", 1, 1, Crashed},
		{"stale", 2, 1, Crashed}, {"absent", 1, 1, Crashed}, {"absent", 1, 0, Inconclusive},
	} {
		r := record("ext4", "done", "absent", "absent", c.disk, "absent")
		r.Channels.Kmsg = KmsgChannel{State: StateOK, Oopses: c.all, OwnOopses: c.ours, Oops: "BUG: kernel NULL pointer dereference"}
		got, why := Judge(r)
		if got != c.want || c.all > 0 && c.disk != "absent" && !strings.Contains(why, "NULL pointer") {
			t.Errorf("%+v: %s (%s)", c, got, why)
		}
	}
}

// leaving are 8 pages of a region, 6 of them in large folios, of a holder that marks those not.
func leaving(fs, probes string) *Record {
	r := record(fs, "done", probes, "nothing", "stale", "absent")
	r.Host.PageSize = 4096
	r.Facts = &scenario.Facts{DropsBufferless: fs == "ext4", Heals: fs == "ext4", LeftClean: scenario.LeftCleanLarge}
	r.Channels.Folios = FoliosChannel{State: StateOK, Pinned: []FolioSize{{Bytes: 4096, Folios: 2, Pages: 2}, {Bytes: 16 << 12, Folios: 1, Pages: 6}}}
	r.Channels.WarningCount = WarningCountChannel{State: StateOK, Before: count(3), After: count(3)}
	r.Channels.Disk.StalePages = 6
	return r
}

// Who lets go of large folios without marking them dirty loses them, and no witness who saw
// nothing dirtied contradicts that; but no more than those, and none that was seen dirtied.
func TestLargeFoliosLeftClean(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		for _, probes := range []string{"nothing", "absent"} {
			r := leaving(fs, probes)
			r.Conclude()
			which, pages := r.LeftClean()
			if r.Verdict != DataLost || len(r.Disagreements) > 0 || !strings.Contains(r.Reason, "6 pages, in large folios, were let go without being marked dirty") || which != scenario.LeftCleanLarge || pages != 6 {
				t.Errorf("%s, %s: %s: %s; %q", fs, probes, r.Verdict, r.Reason, r.Disagreements)
			}
		}
		marked := leaving(fs, "nothing")
		marked.Channels.Probes.DirtiedPages = 8 // as a kernel would that is mended
		if v, why := Judge(marked); v != Inconclusive || strings.Contains(why, "let go") {
			t.Errorf("%s: %s: %s", fs, v, why)
		}
		other := leaving(fs, "nothing")
		other.Facts.LeftClean = scenario.LeftCleanNone
		if v, why := Judge(other); v != Inconclusive {
			t.Errorf("%s: %s: %s", fs, v, why)
		}
	}
	gone := leaving("xfs", "nothing") // with a hole, and from the page cache, too
	gone.Facts.Detaches, gone.Scenario.Mutation = true, "punch"
	gone.Channels.Cache = CacheChannel{State: StateOK, CheckedPages: 8, StalePages: 6}
	which, pages := gone.LeftClean()
	if v, why := Judge(gone); v != DataLost || strings.Contains(why, "let go") || which != scenario.LeftCleanNone || pages != 0 {
		t.Errorf("%s: %s; %q, %d pages", v, why, which, pages)
	}
	more := leaving("ext4", "unannounced")
	more.Channels.Disk.StalePages, more.Channels.Probes.DirtiedPages = 8, 2
	more.Conclude()
	if !strings.Contains(strings.Join(more.Disagreements, "; "), "and 8 are stale on disk") {
		t.Errorf("%s: %s; %q", more.Verdict, more.Reason, more.Disagreements)
	}
}

// With data=journal, pages are lost that had their buffers; no more than those, and elsewhere none.
func TestJournalledPagesAreLost(t *testing.T) {
	for _, c := range []struct {
		journals    bool
		unannounced uint64
		disputed    bool
	}{{true, 8, false}, {true, 6, true}, {false, 8, true}} {
		r := record("ext4", "done", "unannounced", "nothing", "stale", "absent")
		r.Facts = &scenario.Facts{DropsBufferless: true, Heals: true, JournalsData: c.journals}
		r.Channels.Probes.UnannouncedPages = c.unannounced
		r.Channels.WarningCount = WarningCountChannel{State: StateOK, Before: count(3), After: count(3)}
		r.Conclude()
		if r.Verdict != DataLost || len(r.Disagreements) > 0 != c.disputed {
			t.Errorf("%+v: %s: %s; %q", c, r.Verdict, r.Reason, r.Disagreements)
		}
	}
}
