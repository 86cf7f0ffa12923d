package record

import (
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

var bug = Death{
	Kind: DiedOops, Said: "kernel BUG at fs/ext4/inode.c:2662", Comm: "umemstress", PID: 99,
	Place: "mpage_prepare_extent_to_map", Calls: []string{"ext4_writepages", "do_writepages", "__filemap_fdatawrite_range"},
}

// crashedIn is the record of a run in whose phase settle the machine died, as far as it got to be
// written: bufferless says whether the probes had seen pages without buffers.
func crashedIn(bufferless bool) *Record {
	r := record("ext4", "running", "absent", "absent", "absent", "absent")
	r.Phases = nil
	for _, name := range scenario.Phases() {
		outcome := OutcomeDone
		if name == scenario.PhaseSettle {
			outcome = OutcomeRunning
		}
		r.Phases = append(r.Phases, Phase{Name: name, Outcome: outcome})
		if outcome == OutcomeRunning {
			break
		}
	}
	r.Settled, r.Channels.Disk.Msync, r.Channels.Disk.Fsync = nil, "", ""
	r.Process = Process{PID: 90, Comm: "umemstress"}
	r.File.Dev = 7 << 20
	r.Facts.Deadly = []string{"mpage_prepare_extent_to_map", "set_page_dirty_lock"}
	r.Channels.Probes = ProbesChannel{State: StateOK, DirtiedPages: 16}
	if bufferless {
		r.Channels.Probes.BufferlessPages, r.Channels.Probes.UnannouncedPages = 16, 16
	}
	return r
}

// A death is the run's where it is on the path of the bug and tied to the run: by the thread,
// by the device, or by what the probes had seen. Any other is somebody else's.
func TestJudgeDeaths(t *testing.T) {
	with := func(change func(*Death)) Death {
		d := bug
		d.Calls = append([]string(nil), bug.Calls...)
		change(&d)
		return d
	}
	flusher := func(device string) Death {
		return with(func(d *Death) { d.Comm, d.Work = "kworker/u4:1", "writeback wb_workfn (flush-"+device+")" })
	}
	for name, c := range map[string]struct {
		death      Death
		bufferless bool
		want       Verdict
		why        string
	}{
		"in msync":                   {bug, true, Crashed, "the kernel died in a thread of this run: kernel BUG at fs/ext4/inode.c:2662, in mpage_prepare_extent_to_map ← ext4_writepages ← do_writepages ← __filemap_fdatawrite_range; 16 pages were dirtied with no buffers attached"},
		"in msync, unseen":           {bug, false, Crashed, "in a thread of this run: kernel BUG"},
		"of the machine":             {with(func(d *Death) { d.Panicked = true }), true, Crashed, "the machine died in a thread of this run: "},
		"in the flusher":             {flusher("7:0"), false, Crashed, "in the writeback of this run's file: kernel BUG"},
		"in the flusher of others":   {flusher("254:3"), false, Inconclusive, "the kernel died of something else: kernel BUG"},
		"in sync":                    {with(func(d *Death) { d.Comm = "sync" }), true, Crashed, "in sync, on the path of what this run had done"},
		"in sync, unseen":            {with(func(d *Death) { d.Comm = "sync" }), false, Inconclusive, "of something else"},
		"of an inlined function":     {with(func(d *Death) { d.Place = "set_page_dirty_lock.part.0" }), false, Crashed, ""},
		"in a driver, in our thread": {with(func(d *Death) { d.Place = "rxe_requester" }), true, Reproduced, ""},
		"far below":                  {with(func(d *Death) { d.Place, d.Calls = "a", []string{"b", "c", "d", bug.Place} }), false, Inconclusive, "of something else"},
		"of a warning": {with(func(d *Death) {
			d.Kind, d.Place, d.Calls = DiedPanic, "ext4_set_page_dirty", []string{"set_page_dirty_lock"}
		}), false, Crashed, ""},
		"by hand":              {Death{Kind: DiedPanic, Said: "Kernel panic - not syncing: sysrq triggered crash", Comm: "bash", Panicked: true}, false, Inconclusive, "of something else: Kernel panic - not syncing: sysrq"},
		"hanging in writeback": {Death{Kind: DiedHung, Said: "INFO: task umemstress:9 blocked", Comm: "umemstress", Calls: []string{"__schedule", "schedule", "io_schedule", "__lock_page", bug.Place}}, false, Crashed, "the kernel hangs in a thread of this run"},
		"hanging somewhere":    {Death{Kind: DiedHung, Said: "INFO: task x:9 blocked", Comm: "x", Calls: []string{"__schedule", "nfs_wait"}}, false, Inconclusive, "the evidence ends in phase settle"},
	} {
		for channel, tell := range map[string]func(*Channels){
			"kmsg":    func(ch *Channels) { ch.Kmsg = KmsgChannel{State: StateOK, Oopses: 1, Deaths: []Death{c.death}} },
			"console": func(ch *Channels) { ch.Console = ConsoleChannel{State: StateOK, Deaths: []Death{c.death}} },
		} {
			r := crashedIn(c.bufferless)
			tell(&r.Channels)
			if got, why := Judge(r); got != c.want || !strings.Contains(why, c.why) {
				t.Errorf("%s, told by %s: %s (%s), want %s (%s)", name, channel, got, why, c.want, c.why)
			}
		}
	}
}

// Without the logs, a run that ended so proves as much as it had seen.
func TestJudgeDeathUntold(t *testing.T) {
	if got, why := Judge(crashedIn(true)); got != Reproduced {
		t.Errorf("%s (%s)", got, why)
	}
}

// A thread that is gone from a call is the run's death where the probes had seen what it met there and
// nobody could read the kernel's log; what the log denies, or says otherwise, is not.
func TestJudgeGone(t *testing.T) {
	withheld := KmsgChannel{State: StateAbsent, Why: "open /dev/kmsg: operation not permitted"}
	elsewhere := Death{Kind: DiedPanic, Said: "Kernel panic - not syncing: sysrq triggered crash", Comm: "bash", Panicked: true}
	for name, c := range map[string]struct {
		bufferless bool
		kmsg       KmsgChannel
		gone       string
		want       Verdict
		why        string
	}{
		"as the probes saw": {true, withheld, "msync", Crashed, "the kernel ended a thread of this run in msync, and nobody could read why in its log; 16 pages were dirtied with no buffers attached"},
		"of a torn log":     {true, KmsgChannel{State: StateOK, LostRecords: 1}, "msync", Crashed, "in msync"},
		"unseen":            {false, withheld, "msync", Inconclusive, "phase settle: crashed: gone"},
		"denied":            {true, KmsgChannel{State: StateOK}, "msync", Reproduced, "no buffers"},
		"of something else": {true, KmsgChannel{State: StateOK, LostRecords: 1, Deaths: []Death{elsewhere}}, "msync", Reproduced, "no buffers"},
		"not gone":          {true, withheld, "", Reproduced, "no buffers"},
	} {
		r := crashedIn(c.bufferless)
		last := &r.Phases[len(r.Phases)-1]
		last.Outcome, last.Detail, last.Gone = OutcomeCrashed, "gone", c.gone
		r.Channels.Kmsg = c.kmsg
		got, why := Judge(r)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got, why, c.want, c.why)
		}
		if _, blamed := r.Blamed(); blamed != (c.want == Crashed) {
			t.Errorf("%s: blamed? %v", name, blamed)
		}
	}
}

func TestDeathWhere(t *testing.T) {
	for want, d := range map[string]Death{
		"kernel BUG at a.c:1, in f ← g ← h ← i": {Said: "kernel BUG at a.c:1", Place: "f", Calls: []string{"g", "h", "i", "j"}},
		"blocked, in f ← g":                     {Said: "blocked", Calls: []string{"f", "g"}},
		"Kernel panic":                          {Said: "Kernel panic"},
	} {
		if got := d.Where(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
