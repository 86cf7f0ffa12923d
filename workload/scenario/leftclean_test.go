package scenario

import (
	"encoding/json"
	"strings"
	"testing"
)

// Facts are read as they were written, and which pages are left clean also from the two booleans that earlier
// builds had for it.
func TestReadFacts(t *testing.T) {
	for _, want := range []LeftClean{LeftCleanNone, LeftCleanLarge, LeftCleanAll} {
		wrote := Facts{Arrival: "a direct read", Heals: true, LeftClean: want}
		raw, err := json.Marshal(wrote)
		if err != nil {
			t.Fatal(err)
		}
		var read Facts
		if err := json.Unmarshal(raw, &read); err != nil || read.Arrival != wrote.Arrival || !read.Heals || read.LeftClean != want || !want.Known() {
			t.Errorf("%s was read as %+v, %v", raw, read, err)
		}
		if strings.Contains(string(raw), "left_clean") != (want != LeftCleanNone) || strings.Contains(string(raw), "leaves") {
			t.Errorf("%s", raw)
		}
	}
	for before, want := range map[string]LeftClean{
		`{"arrival":"x"}`: LeftCleanNone,
		`{"arrival":"x","leaves_large_clean":true}`:                     LeftCleanLarge,
		`{"arrival":"x","leaves_clean":true}`:                           LeftCleanAll,
		`{"arrival":"x","leaves_clean":true,"leaves_large_clean":true}`: LeftCleanAll,
	} {
		var read Facts
		if err := json.Unmarshal([]byte(before), &read); err != nil || read.LeftClean != want || read.Arrival != "x" {
			t.Errorf("%s was read as %+v, %v", before, read, err)
		}
	}
	if LeftClean("most").Known() {
		t.Error("any word is known")
	}
}
