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
		if again.Verdict != r.Verdict || !reflect.DeepEqual(again.Consequences, r.Consequences) {
			t.Errorf("first %s %q, then %s %q", r.Verdict, r.Consequences, again.Verdict, again.Consequences)
		}
	})
}
