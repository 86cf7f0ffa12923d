package evidence

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/workload/record"
)

// A copy has, whenever it is looked at, no record that counts more than it has of the other files; and in
// the end it has all.
func TestFollow(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	follower := Follow(from)
	kept, err := Receive(to)
	if err != nil {
		t.Fatal(err)
	}
	next := func() {
		t.Helper()
		if err := follower.Next(kept.Keep); err != nil {
			t.Fatal(err)
		}
	}
	next() // of what is not there
	e, err := Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	long := strings.Repeat("x", maxPart/2)
	for n := range 5 {
		for range n {
			if err := e.AddKmsg(long); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.SaveRecord(&record.Record{Schema: record.Schema, Traffic: record.Traffic{Operations: uint64(n)}}); err != nil {
			t.Fatal(err)
		}
		next()
		r, err := Load(to)
		if err != nil || r.Traffic.Operations != uint64(n) {
			t.Errorf("record %d: %+v, %v", n, r, err)
		}
		if err := e.AddKmsg("after it"); err != nil {
			t.Fatal(err)
		}
	}
	next()
	for _, name := range runFiles() {
		want, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	if err := Remove(from); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(from); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", from, err)
	}
}

// What no run leaves is not kept, and a run that never began leaves nothing.
func TestReceiveRefuses(t *testing.T) {
	dir := t.TempDir()
	kept, err := Receive(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if kept, err = Receive(dir); err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for _, p := range []Part{
		{File: "../run.json"}, {File: "serial.log"}, {}, {File: RunFile, Bytes: make([]byte, maxRecord+1)},
		{File: kmsgFile, At: 1}, {File: eventsFile, At: -1},
	} {
		if err := kept.Keep(p); err == nil {
			t.Errorf("%s at %d was kept", p.File, p.At)
		}
	}
	if err := Remove(dir); err != nil {
		t.Error(err)
	}
}

// Whatever parts come, what is kept are the files of a run, as long as the parts are.
func FuzzKeep(f *testing.F) {
	f.Add([]byte(`[{"file":"kmsg.log","at":0,"bytes":"AAAA"},{"file":"kmsg.log","at":3,"bytes":"AA=="},{"file":"run.json","bytes":"e30="}]`))
	f.Add([]byte(`[{"file":"..","at":-9223372036854775808},{"file":"events.jsonl","at":1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var parts []Part
		if json.Unmarshal(text, &parts) != nil {
			return
		}
		dir := t.TempDir()
		kept, err := Receive(dir)
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{}
		for _, p := range parts {
			if kept.Keep(p) != nil {
				continue
			}
			if p.File == RunFile {
				sizes[p.File] = 0
			}
			sizes[p.File] += len(p.Bytes)
		}
		if err := kept.Close(); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range left {
			info, err := entry.Info()
			if err != nil || info.Size() != int64(sizes[entry.Name()]) {
				t.Errorf("%s: %v, want %d bytes", entry.Name(), info, sizes[entry.Name()])
			}
		}
	})
}
