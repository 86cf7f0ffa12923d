package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/probes/observe"
)

// What a stranger's journal holds is told or refused, and a line that is told is whole: it is of
// this schema, and one that has sums by its event has them.
func FuzzRead(f *testing.F) {
	const begin = `{"schema":"` + observe.Schema + `","time":"2026-11-28T09:00:00Z","event":`
	for _, seed := range []struct{ events, summary string }{
		{begin + `"started","host":{"kernel":"6.1.0"}}` + "\n" + begin + `"dirtied","path":"/a","pages":2}` + "\n", `{"seconds":3,"sums":[{"holder":"rdma"}]}`},
		{begin + `"pinned"}` + "\n" + begin + `"summary","summary":{"seconds":1}}` + "\n", "null"},
		{begin + `"summary","summary":null}` + "\n", ""},
		{begin + `"lost"}` + "\n", "{}"},
		{"\x00\x00\x00\n" + begin + `"pin`, "{"},
		{begin + `"pinned","stack":` + strings.Repeat("[", 200) + "\n", "[]"},
		{`{"SCHEMA":"` + observe.Schema + `","Event":"lost","summary":{}}` + "\nnull\n", `{"sums":null}`},
	} {
		f.Add([]byte(seed.events), []byte(seed.summary))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, events, summary []byte) {
		for name, text := range map[string][]byte{EventsFile: events, summaryFile: summary} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		lines, ends := 0, 0
		r, err := Read(dir, func(l observe.Line) error {
			lines++
			if l.Schema != observe.Schema || (l.Event == observe.Ended || l.Event == observe.Lost) && l.Summary == nil {
				t.Errorf("told of %+v", l)
			}
			if l.Event == observe.Ended {
				ends++
			}
			return nil
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "journal: ") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		if whole := strings.Count(string(events), "\n"); lines+r.Holes > whole+1 || r.Holes > whole {
			t.Errorf("%d lines told and %d lost of %d", lines, r.Holes, whole)
		}
		// The sums are the last word, the observer's own or those of the last second.
		if r.Summary != nil && ends == 0 {
			t.Errorf("the sums were not told: %+v", r)
		}
	})
}
