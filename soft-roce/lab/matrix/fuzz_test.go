package matrix

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
	shared "umemstress/soft-roce/lab/internal/page"
	"umemstress/workload/record"
)

func FuzzParseExpectations(f *testing.F) {
	f.Add([]byte(someExpectations))
	f.Add([]byte(expectedText[:strings.Index(expectedText, "rdma/ext4/memcg")]))
	for _, seed := range []string{
		"", "---\n", "a: &a [*a]\n", "rdma/ext4/pageout/none: {\"5.10\": {verdict: clean, source: x, quick: maybe}}\n",
		"x/a/b/c: &x {5.10: {verdict: [clean], source: {}}}\nx/a/b/d: *x\n",
		"x/a/b/c: {5.10: {source: &clean x, verdict: *clean}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		expectations, err := parseExpectations(raw)
		if err != nil {
			if len(expectations) == 0 && strings.TrimSpace(err.Error()) == "" {
				t.Error("an error that says nothing")
			}
			return
		}
		// Written down as it was understood, it is understood the same.
		var again strings.Builder
		scenario := ""
		for _, e := range expectations {
			if e.Scenario != scenario {
				scenario = e.Scenario
				fmt.Fprintf(&again, "%q:\n", scenario)
			}
			fmt.Fprintf(&again, "  %q: {verdict: %s, quick: %v, source: x", e.Kernel, e.Verdict, e.Quick)
			if e.Pages != "" {
				fmt.Fprintf(&again, ", pages: %s", e.Pages)
			}
			again.WriteString("}\n")
			if strings.TrimSpace(e.Source) == "" {
				t.Errorf("no source: %+v", e)
			}
		}
		got, err := parseExpectations([]byte(again.String()))
		if err != nil || len(got) != len(expectations) {
			t.Fatalf("%d of %d expectations: %v\n%s", len(got), len(expectations), err, &again)
		}
		for i, e := range expectations {
			got[i].Source = e.Source
			if got[i] != e {
				t.Errorf("%+v comes back as %+v", e, got[i])
			}
		}
	})
}

// FuzzLines takes in what comes out of a guest in place of its shell's lines.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"begin 0\nend 0 3\nbegin 1\nend 1 124\n", "begin 7\n", "end 0 0\n", "begin 0\nend 0 -1\n", "begin 99999999999999999999\n",
		"begin 0\nbegin 0\n", "begin 0 end 0 0\n", "\n", strings.Repeat("x", 1<<10),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &Matrix{Dir: t.TempDir(), Repeat: 1, CellTimeout: time.Second}
		r := newRound(m, &Column{Name: "5.10", Cells: make([]Expectation, 2)}, 1)
		r.tell = func(Progress) {}
		r.watch = time.NewTimer(time.Hour)
		defer r.watch.Stop()
		lines := &lineReader{line: r.line}
		for len(raw) > 0 {
			n := min(len(raw), 7)
			lines.Write(raw[:n])
			raw = raw[n:]
		}
		if r.running >= 0 && r.cells[r.running].Attempts == 0 {
			t.Errorf("cell %d is running and has not begun", r.running)
		}
		if len(lines.rest) > maxLine {
			t.Errorf("%d bytes are kept", len(lines.rest))
		}
	})
}

// FuzzRunRecord reads run.json of a guest.
func FuzzRunRecord(f *testing.F) {
	f.Add([]byte(`{"schema": "umemstress.run/v1", "verdict": "data-lost", "reason": "why", "channels": `+lostChannels+`, "disagreements": ["a"]}`), 12)
	f.Add([]byte(`{"schema": "umemstress.run/v1", "verdict": "corrupted", "channels": {"clone": {"changed_pages": 1, "checked_pages": "2"}}}`), 13)
	f.Add([]byte(`{"schema": "umemstress.run/v1", "verdict": "clean", "channels": [null], "phases": [{"outcome": "running"}]}`), 0)
	f.Add([]byte(`null`), 0)
	f.Fuzz(func(t *testing.T, raw []byte, code int) {
		dir := t.TempDir()
		labtest.WriteFile(t, dir+"/run.json", string(raw))
		var rep Repetition
		rep.Got, rep.Reason = rep.read(dir, code)
		runningPhase(dir)
		if v := record.Verdict(rep.Got); v.Known() && v.ExitCode() != code || !v.Known() && rep.Got != OutcomeFailed {
			t.Errorf("exit code %d gives %s", code, rep.Got)
		}
		for _, verdict := range verdictWords() {
			e := Expectation{Verdict: verdict, Pages: PagesAll}
			e.differences(&rep)
		}
		shared.Channels(rep.Channels)
		if _, err := json.Marshal(&rep); err != nil {
			t.Errorf("matrix.json cannot be written: %v", err)
		}
	})
}
