package mail

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"umemstress/workload/record"
)

// FuzzMail writes the mail of a record and of logs that may be anybody's, and that of a journal: it is
// short, it ends, and nothing in it is for a terminal.
func FuzzMail(f *testing.F) {
	run, err := os.ReadFile("../../evidence/testdata/data-lost/run.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(run, warned+died510, "7:0")
	for old, bad := range map[string]string{
		`"kernel": "`:        `"kernel": "\u001b[31m\nBcc: a;`,
		`"reason": "`:        `"reason": "\u202e\u009b`,
		`"holder": "`:        `"holder": "%s%s\u0007`,
		`"filesystem": "`:    `"filesystem": "\r\n\r\n`,
		`"bytes": `:          `"bytes": -9`,
		`"pages": `:          `"pages": 9999999999`,
		`"state": "ok"`:      `"state": "failed", "why": "\u001b]0;x\u0007"`,
		`"name": "release"`:  `"name": "\u001b"`,
		`"verdict": "data-`:  `"verdict": "crashed", "x": "`,
		`"mutation": "none"`: `"mutation": "write-beside", "folios": "large"`,
	} {
		f.Add([]byte(strings.ReplaceAll(string(run), old, bad)), strings.ReplaceAll(warned+died510, "Comm: app", "Comm: \x1b[2J\u202e"), "\x1b")
	}
	f.Fuzz(func(t *testing.T, run []byte, log, word string) {
		quoter := Quoter{Said: word}
		quoter.Begin(word)
		for line := range strings.Lines(log) {
			quoter.Add(line)
		}
		quotes := quoter.Quotes()
		var r record.Record
		if json.Unmarshal(run, &r) == nil {
			verdict := r.Verdict
			r.Conclude()
			for _, v := range []record.Verdict{r.Verdict, verdict, record.DataLost, record.Crashed} {
				r.Verdict = v
				m, err := FromRun(&r, quotes)
				check(t, m, err)
			}
		}
		for _, name := range []string{"dropped", "dirtied", "stripped", word} {
			m, err := FromJournal(Journal{
				Kernel: word, Host: record.Host{Version: word}, Lost: word, Without: []string{word},
				Events: []Sighting{{Event: name, Holder: word, Owner: Process{1, word}, Filesystem: word, Path: word, RDMADevice: word, Bufferless: true, Signal: word, Stack: strings.Split(log, "\n")}},
				Sums:   []Sum{{Holder: word, Filesystem: word, Dropped: 1}},
			}, word, quotes)
			check(t, m, err)
		}
	})
}

// check says whether a mail, or what is said instead of one, can be shown.
func check(t *testing.T, m *Report, err error) {
	t.Helper()
	if err != nil {
		shown(t, err.Error())
		return
	}
	var b bytes.Buffer
	if err := m.Text(&b); err != nil {
		t.Fatal(err)
	}
	shown(t, b.String())
	head, _, found := strings.Cut(b.String(), "\n\n")
	lines := strings.Split(head, "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Subject: [BUG] ") })
	if !found || at != len(lines)-1 || slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Bcc") }) {
		t.Errorf("%q", head)
	}
	for _, c := range m.Commands {
		if strings.ContainsAny(c.Line, "$`;|&<>'\"\\\n") {
			t.Errorf("%q", c.Line)
		}
	}
	encoded, err := json.Marshal(m)
	if err != nil || len(encoded) > 256<<10 || b.Len() > 256<<10 {
		t.Errorf("%d bytes, %d as JSON, %v", b.Len(), len(encoded), err)
	}
}

func shown(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q in %q", r, text)
		}
	}
}
