package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// FuzzReexamine judges a directory that may come from anybody: it ends with a verdict or with
// an error, either of which can be shown.
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
		log := []byte(bufferlessLine + "\n")
		f.Add(run, events, log)
		f.Add(run, events[:len(events)/2], log[:20])
		f.Add(run[:len(run)/2], events, log)
		f.Add(run, slices.Repeat(events, 4), []byte{})
		f.Add(run, append([]byte(`{"stack":148,"frames":["\u001b[31m"]}`+"\n"), events...), log)
		f.Add(run, append([]byte("\x00\x00\n"), events...), []byte("\x00\x1b\n"))
		for old, bad := range map[string]string{
			`"outcome": "done"`:          `"outcome": "wat"`,
			`"state": "ok"`:              `"state": "garbage\u001b[31m"`,
			`"filesystem": "ext4"`:       `"filesystem": "z\u001bfs"`,
			`"verdict": "`:               `"verdict": "\u009b`,
			`"reason": "`:                `"reason": "\nverdict  CLEAN`,
			`"phases": [`:                `"phases": [], "x": [`,
			`"pages": `:                  `"pages": -`,
			`"checked_pages": `:          `"checked_pages": 9223372036854775807, "x": `,
			`"schema": "umemstress.run/`: `"schema": "`,
		} {
			f.Add([]byte(strings.ReplaceAll(string(run), old, bad)), events, log)
		}
		for old, bad := range map[string]string{
			`"index":0`:       `"index":18446744073709551615`,
			`"pages":`:        `"pages":18446744073709551615,"x":`,
			`"holder":"umem"`: `"holder":"\u001b"`,
			`"detached":f`:    `"detached":true,"x":f`,
		} {
			f.Add(run, []byte(strings.ReplaceAll(string(events), old, bad)), log)
		}
	}
	f.Fuzz(func(t *testing.T, run, events, log []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, RunFile), string(run))
		write(t, filepath.Join(dir, eventsFile), string(events))
		write(t, filepath.Join(dir, kmsgFile), string(log))
		all := func(scenario.Scenario) (scenario.Facts, bool) { return scenario.Facts{}, true }
		r, err := Reexamine(t.Context(), dir, all, quiet())
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Errorf("%q", err)
			}
			return
		}
		if !r.Verdict.Known() || r.Reason == "" {
			t.Errorf("%q: %q", r.Verdict, r.Reason)
		}
	})
}
