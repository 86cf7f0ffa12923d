package record

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzJudge judges what may come from anywhere: it gets a verdict that there is, with a
// reason, and the same one again after it was written down.
func FuzzJudge(f *testing.F) {
	for _, phases := range []string{"done", "refused", "died", "none"} {
		for _, disk := range []string{"intact", "stale", "reported"} {
			data, err := json.Marshal(record("ext4", phases, "bufferless", "nothing", disk, "absent"))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(`{"channels": {"warning_count": {"state": "ok", "before": 9, "after": 3}}}`))
	for _, change := range []func(*Record){
		func(r *Record) { r.Channels.Probes.State = "garbage" },
		func(r *Record) { r.Phases = append(r.Phases, Phase{Name: "\x1b[31m", Outcome: "wat"}) },
		func(r *Record) { r.Phases = nil },
		func(r *Record) { r.Regions[0].Pages = -1 },
		func(r *Record) { r.Regions = nil },
		func(r *Record) { r.Channels.Disk.CheckedPages = 1 << 63 },
		func(r *Record) {
			p := &r.Channels.Probes
			p.StrippedPages, p.StrippedFolios, p.DroppedFolios = count(8), count(1<<63), count(1<<64-1)
			p.Acts = []Act{{Event: "\x1b[31m", Actor: Process{PID: -1}, Owner: &Process{}, Pages: 1 << 63}}
		},
		func(r *Record) { r.Channels.Probes = ProbesChannel{State: StateOK, DroppedFolios: count(8)} },
		func(r *Record) { r.Facts = nil },
		func(r *Record) { r.Facts.InMemory = true },
		func(r *Record) { r.Settled = &Settled{Msync: "okay", Fsync: "\n"} },
		func(r *Record) { r.Scenario.Mutation, r.Channels.Clone = "reflink", CloneChannel{} },
		func(r *Record) {
			r.Channels.Folios = FoliosChannel{State: StateOK, Pinned: []FolioSize{{Bytes: -1, Folios: 1 << 63, Pages: 1 << 63}}}
		},
	} {
		r := record("ext4", "done", "bufferless", "nothing", "stale", "absent")
		r.Phases = append([]Phase{}, r.Phases...)
		change(r)
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Record
		if json.Unmarshal(data, &r) != nil {
			return
		}
		r.Conclude()
		if !r.Verdict.Known() || r.Reason == "" {
			t.Fatalf("%q: %q", r.Verdict, r.Reason)
		}
		written, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		var again Record
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		again.Conclude()
		if r.Verdict == Clean && r.Channels.Probes.State == StateOK && r.Channels.Probes.DroppedFolios != nil && *r.Channels.Probes.DroppedFolios > 0 {
			t.Errorf("clean, and the probes saw %d folios dropped", *r.Channels.Probes.DroppedFolios)
		}
		if again.Verdict != r.Verdict || !reflect.DeepEqual(again.Consequences, r.Consequences) {
			t.Errorf("first %s %q, then %s %q", r.Verdict, r.Consequences, again.Verdict, again.Consequences)
		}
	})
}
