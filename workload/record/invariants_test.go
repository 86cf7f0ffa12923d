package record

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// world is one record of many: what each of its parts is in, by the names in the tables of
// this package's tests.
type world struct {
	holder, fs, mutation                     string
	phases, probes, kmsg, disk, clone, cache string
	count, accounting                        string
}

var (
	cacheStates = map[string]CacheChannel{
		"absent": {State: StateAbsent},
		"older":  {}, // evidence from before there was this channel
		"failed": {State: StateFailed, CheckedPages: 3, StalePages: 3},
		"intact": {State: StateOK, CheckedPages: 8},
		"stale":  {State: StateOK, CheckedPages: 8, StalePages: 8},
		"empty":  {State: StateOK},
	}
	countStates = map[string]WarningCountChannel{
		"older":  {},
		"absent": {State: StateAbsent},
		"failed": {State: StateFailed, Before: count(0)},
		"still":  {State: StateOK, Before: count(3), After: count(3)},
		"rose":   {State: StateOK, Before: count(3), After: count(11)},
	}
	accountingStates = map[string]AccountingChannel{
		"absent": {State: StateAbsent},
		"failed": {State: StateFailed, Settled: 9},
		"same":   {State: StateOK, Before: 5, Released: 9, Settled: 5},
		"leaked": {State: StateOK, Before: 5, Released: 13, Settled: 13},
	}
)

// worldFacts are of a file system that drops pages without buffers, of one that makes up for
// nothing, and of one without a disk.
var worldFacts = map[string]scenario.Facts{
	"ext4": {DropsBufferless: true, Heals: true}, "xfs": {}, "tmpfs": {InMemory: true, Heals: true},
}

func (w world) record() *Record {
	facts := worldFacts[w.fs]
	facts.Detaches = w.mutation == "punch"
	settled := &Settled{Msync: diskStates[w.disk].Msync, Fsync: diskStates[w.disk].Fsync}
	if facts.InMemory && w.phases == "done" {
		settled = &Settled{Msync: "0", Fsync: "0"}
	}
	return &Record{
		Settled:  settled,
		Facts:    &facts,
		Scenario: scenario.Scenario{Holder: w.holder, Filesystem: w.fs, Strip: "pageout", Mutation: w.mutation},
		Regions:  []Region{{Kind: RegionFile, Bytes: 8 << 12, Pages: 8}},
		Phases:   phaseStates[w.phases],
		Channels: Channels{
			Probes: probesStates[w.probes], Kmsg: kmsgStates[w.kmsg], Disk: diskStates[w.disk], Clone: cloneStates[w.clone],
			Cache: cacheStates[w.cache], WarningCount: countStates[w.count], Accounting: accountingStates[w.accounting],
		},
	}
}

// worlds calls f with every combination that differs in what it is judged by.
func worlds(f func(world)) {
	dimensions := [][]string{
		{"ext4", "xfs", "tmpfs"},
		{"none", "reflink", "punch"},
		{"done", "refused", "died", "ineffective"},
		{"absent", "nothing", "unannounced", "bufferless", "detached"},
		{"absent", "nothing", "bufferless", "other"},
		{"absent", "intact", "stale", "reported"},
		{"absent", "intact", "changed"},
		{"older", "intact", "stale"},
		{"still", "rose"},
	}
	at := make([]int, len(dimensions))
	for {
		v := make([]string, len(dimensions))
		for i, d := range dimensions {
			v[i] = d[at[i]]
		}
		f(world{holder: "rdma", fs: v[0], mutation: v[1], phases: v[2], probes: v[3], kmsg: v[4], disk: v[5], clone: v[6], cache: v[7], count: v[8], accounting: "same"})
		i := 0
		for ; i < len(at); i++ {
			if at[i]++; at[i] < len(dimensions[i]) {
				break
			}
			at[i] = 0
		}
		if i == len(at) {
			return
		}
	}
}

func good(v Verdict) bool { return v == Clean || v == Refused }

// spoilers make each channel one that tells nothing, by its name.
var spoilers = map[string]func(c *Channels, state string){
	"probes": func(c *Channels, state string) { c.Probes = ProbesChannel{State: state} },
	"kmsg":   func(c *Channels, state string) { c.Kmsg = KmsgChannel{State: state} },
	"disk": func(c *Channels, state string) {
		c.Disk = DiskChannel{State: state, Msync: c.Disk.Msync, Fsync: c.Disk.Fsync}
	},
	"clone":         func(c *Channels, state string) { c.Clone = CloneChannel{State: state} },
	"cache":         func(c *Channels, state string) { c.Cache = CacheChannel{State: state} },
	"warning_count": func(c *Channels, state string) { c.WarningCount = WarningCountChannel{State: state} },
	"accounting":    func(c *Channels, state string) { c.Accounting = AccountingChannel{State: state} },
	"folios":        func(c *Channels, state string) { c.Folios = FoliosChannel{State: state} },
}

// No channel makes a verdict good by failing, by being in a state that nobody knows, or, if
// its bytes are what is judged, by not being there.
func TestNothingIsGainedBySilence(t *testing.T) {
	t.Parallel()
	n := 0
	worlds(func(w world) {
		n++
		was, _ := Judge(w.record())
		for channel, spoil := range spoilers {
			for _, state := range []string{StateFailed, StateAbsent, "garbage"} {
				r := w.record()
				spoil(&r.Channels, state)
				got, why := Judge(r)
				switch {
				case why == "":
					t.Errorf("%+v, %s %s: %s without a reason", w, channel, state, got)
				case state == "garbage" && got != Inconclusive:
					t.Errorf("%+v, %s %s: %s (%s)", w, channel, state, got, why)
				case state == StateFailed && good(got) && !good(was):
					t.Errorf("%+v: %s, and with %s failed %s (%s)", w, was, channel, got, why)
				case got == Clean && w.decides(channel):
					t.Errorf("%+v, %s %s: %s (%s)", w, channel, state, got, why)
				}
			}
		}
	})
	if n < 30000 {
		t.Errorf("only %d combinations", n)
	}
}

// decides says whether nothing is clean without what the channel says of the bytes.
func (w world) decides(channel string) bool {
	switch channel {
	case "disk":
		return w.fs != "tmpfs"
	case "cache":
		return w.fs == "tmpfs"
	case "clone":
		return w.mutation == "reflink"
	}
	return false
}

// What every combination has to keep to, in words that are not Judge's.
func TestVerdictsKeepToTheirWords(t *testing.T) {
	t.Parallel()
	worlds(func(w world) {
		r := w.record()
		got, why := Judge(r)
		if strings.HasPrefix(why, "the record cannot be believed") {
			return
		}
		c := r.Channels
		bytes := c.Disk.StalePages
		if w.fs == "tmpfs" {
			bytes = c.Cache.StalePages
		}
		var wrong string
		switch {
		case got == Clean && (w.phases != "done" || bytes > 0 || c.Clone.ChangedPages > 0):
			wrong = "clean, and not all of it was right"
		case got == Clean && (c.Probes.BufferlessPages > 0 || c.Kmsg.BufferlessPages > 0):
			wrong = "clean, and pages had no buffers"
		case got == Refused && w.phases != "refused":
			wrong = "refused, and it was not"
		case got == DataLost && bytes == 0:
			wrong = "lost, and no byte is"
		case got == DataLost && w.fs != "tmpfs" && w.disk == "reported":
			wrong = "lost silently, and fsync told"
		case (got == Corrupted) != (c.Clone.State == StateOK && c.Clone.ChangedPages > 0):
			wrong = "corrupted is what a clone alone tells"
		case got == Reproduced && c.Probes.BufferlessPages == 0 && c.Kmsg.BufferlessPages == 0:
			wrong = "reproduced, and nobody saw it"
		case got == Exposed && c.Probes.UnannouncedPages == 0 && c.Probes.DetachedPages == 0:
			wrong = "exposed, and no probe saw it"
		}
		if wrong != "" {
			t.Errorf("%+v: %s (%s): %s", w, got, why, wrong)
		}
	})
}

// Who holds, what the machine counts as dirty and what was stripped changes no verdict; nor does
// a channel whose bytes are not what is judged.
func TestWhatChangesNoVerdict(t *testing.T) {
	n := 0
	worlds(func(w world) {
		if n++; n%7 != 0 { // coprime to each dimension, so all of them are met
			return
		}
		was, _ := Judge(w.record())
		same := func(what string, other world) {
			if got, why := Judge(other.record()); got != was {
				t.Errorf("%+v: %s, and with %s %s (%s)", w, was, what, got, why)
			}
		}
		for _, holder := range []string{"dio", "vmwritev"} {
			other := w
			other.holder = holder
			same(holder, other)
		}
		for state := range accountingStates {
			other := w
			other.accounting = state
			same("accounting "+state, other)
		}
		for what, strips := range map[string][2]uint64{"none": {}, "some": {3, 1}, "all": {8, 8}, "many": {999, 999}} {
			r := w.record()
			if r.Channels.Probes.State != StateOK {
				continue
			}
			r.Facts.PinsCounted = true
			p := &r.Channels.Probes
			p.StrippedPages, p.StrippedFolios, p.DroppedFolios = count(strips[0]), count(strips[1]), count(0)
			if p.BufferlessPages > 0 {
				p.DroppedFolios = count(strips[1]) // more of what was seen already
			}
			if got, why := Judge(r); got != was {
				t.Errorf("%+v: %s, and with %s stripped and dropped %s (%s)", w, was, what, got, why)
			}
		}
		for state := range cacheStates {
			other := w
			if other.cache = state; w.fs != "tmpfs" && w.phases == "done" {
				same("cache "+state, other)
			}
		}
	})
}

// What writeback was seen to drop is harm, whoever else saw nothing; and it takes no verdict back.
func TestDropsAreHarm(t *testing.T) {
	t.Parallel()
	worlds(func(w world) {
		if w.probes == "absent" {
			return
		}
		was, _ := Judge(w.record())
		r := w.record()
		r.Channels.Probes.DroppedFolios = count(8)
		got, why := Judge(r)
		switch {
		case strings.HasPrefix(why, "the record cannot be believed"):
		case good(got):
			t.Errorf("%+v: %s (%s), and folios were dropped", w, got, why)
		case got == Inconclusive:
			t.Errorf("%+v: %s (%s), and folios were dropped", w, got, why)
		case !good(was) && was != Inconclusive && slices.Index(Verdicts(), got) > slices.Index(Verdicts(), was):
			t.Errorf("%+v: %s, and with folios dropped %s (%s)", w, was, got, why)
		}
	})
}

// The bytes of a file in memory are judged by the page cache.
func TestJudgeInMemory(t *testing.T) {
	for cache, want := range map[string]Verdict{"absent": Inconclusive, "older": Inconclusive, "failed": Inconclusive, "empty": Inconclusive, "intact": Clean, "stale": DataLost} {
		w := world{holder: "dio", fs: "tmpfs", mutation: "none", phases: "done", probes: "unannounced", kmsg: "nothing", disk: "absent", clone: "absent", cache: cache, count: "absent", accounting: "same"}
		r := w.record()
		r.Settled = &Settled{Msync: "0", Fsync: "0"}
		if got, why := Judge(r); got != want {
			t.Errorf("cache %s: %s, want %s", cache, fmt.Sprintf("%s (%s)", got, why), want)
		}
	}
}
