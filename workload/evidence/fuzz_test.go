package evidence

import (
	"os"
	"path/filepath"
	"testing"

	"umemstress/workload/scenario"
)

// FuzzReexamine judges a directory that may come from anybody: it ends with a verdict or with
// an error.
func FuzzReexamine(f *testing.F) {
	for _, name := range []string{"data-lost", "refused"} {
		run, err := os.ReadFile(filepath.Join("testdata", name, RunFile))
		if err != nil {
			f.Fatal(err)
		}
		events, err := os.ReadFile(filepath.Join("testdata", name, eventsFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(run, events)
		f.Add(run, events[:len(events)/2])
		f.Add(run[:len(run)/2], events)
	}
	f.Fuzz(func(t *testing.T, run, events []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, RunFile), string(run))
		write(t, filepath.Join(dir, eventsFile), string(events))
		known := func(scenario.Scenario) (scenario.Facts, bool) { return scenario.Facts{}, true }
		r, err := Reexamine(dir, known, quiet())
		if err == nil && (!r.Verdict.Known() || r.Reason == "") {
			t.Errorf("%q: %q", r.Verdict, r.Reason)
		}
	})
}
