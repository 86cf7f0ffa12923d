package record

import (
	"slices"
	"strings"
	"testing"
)

// dropped are 8 pages of a region on a scratch file system that were stripped, dirtied, dropped and
// lost, each seen by all who can.
func dropped() *Record {
	r := record("ext4", "done", "bufferless", "nothing", "stale", "absent")
	r.Host.PageSize, r.Facts.PinsCounted, r.File.Scratch = 4096, true, true
	p := &r.Channels.Probes
	p.BufferlessFolios, p.DirtiedFolios = 8, 8
	p.StrippedPages, p.StrippedFolios, p.DroppedFolios = count(8), count(8), count(8)
	r.Channels.Folios = FoliosChannel{State: StateOK, Pinned: []FolioSize{{Bytes: 4096, Folios: 8, Pages: 8}}, StrippedPages: 8, StrippedFolios: 8}
	r.Channels.Kmsg = KmsgChannel{State: StateOK, BufferlessPages: 5}
	r.Channels.WarningCount = WarningCountChannel{State: StateOK, Before: count(3), After: count(11)}
	return r
}

// Witnesses of the same say so by saying nothing; each that says otherwise is told, and the verdict
// is what it was.
func TestWitnessesOfOneDrop(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Record)
		want   []string
	}{
		"all agree":        {func(*Record) {}, nil},
		"older evidence":   {func(r *Record) { r.Channels.Probes.StrippedPages, r.Channels.Probes.DroppedFolios = nil, nil }, nil},
		"fewer messages":   {func(r *Record) { r.Channels.Kmsg.BufferlessPages = 0 }, nil},
		"stripped twice":   {func(r *Record) { r.Channels.Probes.StrippedPages = count(16) }, nil},
		"the frames alone": {func(r *Record) { r.Channels.Folios.State, r.Channels.Folios.StrippedPages = StateAbsent, 0 }, nil},
		"nothing seen stripped": {
			func(r *Record) {
				r.Channels.Probes.StrippedPages, r.Channels.Probes.StrippedFolios = count(0), count(0)
			},
			[]string{
				"the probes saw 0 pages stripped of their buffers while pinned, and in the frames 8 pages of the region have lost them to the strip",
				"the probes saw 0 pages stripped of their buffers while pinned, and 8 dirtied without any",
			},
		},
		"pins that are not counted": {
			func(r *Record) {
				r.Facts.PinsCounted, r.Channels.Probes.StrippedPages = false, count(0)
				r.Channels.Probes.StrippedFolios = count(0)
			}, nil,
		},
		"calls were missed": {
			func(r *Record) {
				p := &r.Channels.Probes
				p.LostStrips, p.StrippedPages, p.StrippedFolios, p.DroppedFolios = 9, count(0), count(0), count(0)
			}, nil,
		},
		"fewer drops than warnings": {
			func(r *Record) { r.Channels.Probes.DroppedFolios = count(7) },
			[]string{"the probes saw 7 folios dropped by writeback, and warning_count rose by 8"},
		},
		"more drops than warnings": {
			func(r *Record) { r.Channels.Probes.DroppedFolios = count(9) },
			[]string{"the probes saw 9 folios dropped by writeback, and warning_count rose by 8"},
		},
		"more messages than drops": {
			func(r *Record) {
				r.Channels.Probes.DroppedFolios, r.Channels.WarningCount = count(4), WarningCountChannel{State: StateAbsent}
			},
			[]string{"the probes saw 4 folios dropped by writeback, and the kernel's log has 5 messages of such"},
		},
		// Others' warnings on a file system that is not the run's own are no disagreement.
		"somebody else's": {
			func(r *Record) {
				r.File.Scratch, r.Channels.WarningCount.After, r.Channels.Kmsg.BufferlessPages = false, count(99), 10
			}, nil,
		},
		"somebody else's, and too few": {
			func(r *Record) { r.File.Scratch, r.Channels.WarningCount.After = false, count(4) },
			[]string{"the probes saw 8 folios dropped by writeback, and warning_count rose by 1"},
		},
		"somebody else's, and not all lost": {
			func(r *Record) { r.File.Scratch, r.Channels.Probes.DroppedFolios = false, count(7) },
			[]string{"the probes saw 7 dropped, and 8 pages are stale on disk"},
		},
	} {
		r := dropped()
		c.change(r)
		r.Conclude()
		if r.Verdict != DataLost || !slices.Equal(r.Disagreements, c.want) {
			t.Errorf("%s: %s (%s), disagreements %q, want %q", name, r.Verdict, r.Reason, r.Disagreements, c.want)
		}
	}
}

// Who saw pages dropped saw the loss, though nobody saw who had dirtied them.
func TestDropsAloneAreSeen(t *testing.T) {
	for disk, want := range map[string]Verdict{"stale": DataLost, "intact": Reproduced} {
		r := record("ext4", "done", "nothing", "silent", disk, "absent")
		r.Channels.Probes.DroppedFolios = count(8)
		got, why := Judge(r)
		if got != want || !strings.Contains(why, "8 pages were dropped by writeback for want of buffers (seen by the probes)") {
			t.Errorf("disk %s: %s (%s), want %s", disk, got, why, want)
		}
	}
}

// Before writeback was asked for what was dirty, who counts later counts more.
func TestDropsBeforeSettle(t *testing.T) {
	r := dropped()
	r.Phases, r.Settled = phasesUntil("settle", OutcomeInterrupted), nil
	r.Channels.Disk, r.Channels.Probes.DroppedFolios = DiskChannel{State: StateAbsent}, count(3)
	r.Conclude()
	if len(r.Disagreements) > 0 {
		t.Errorf("%s: %q", r.Verdict, r.Disagreements)
	}
}
