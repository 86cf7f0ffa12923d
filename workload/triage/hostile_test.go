package triage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"umemstress/workload"
	"umemstress/workload/report"
	"umemstress/workload/triage"
)

// endless repeats a text until so many bytes were read.
type endless struct {
	text []byte
	left int64
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		m := copy(p[n:min(len(p), n+int(min(e.left, 1<<20)))], e.text[e.at:])
		e.at, n, e.left = (e.at+m)%len(e.text), n+m, e.left-int64(m)
	}
	return n, nil
}

// A log of any length takes as much memory as a short one: lines without an end, warnings and
// deaths without number, names that never come twice.
func TestBoundedMemory(t *testing.T) {
	all := logs(t)
	everything := bytes.Join([][]byte{all["log-5.10"], all["oops-ext4-5.10"], all["own-btrfs-6.12-dio-serial"]}, nil)
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	const size = 6 << 20
	for name, in := range map[string]io.Reader{
		"a line without an end":   &endless{text: []byte("kernel BUG at fs/ext4/inode.c:2297! "), left: size},
		"modules without an end":  &endless{text: []byte("[    1.0] Modules linked in: a\nb\nc\nd\n"), left: size},
		"bytes":                   &endless{text: noise, left: size},
		"everything":              &endless{text: everything, left: size},
		"an entry without an end": io.MultiReader(strings.NewReader("__CURSOR=s=1\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f"), &endless{text: noise, left: size}),
		"a mail without an end":   io.MultiReader(strings.NewReader("Content-Transfer-Encoding: quoted-printable\n"), &endless{text: []byte("kernel BUG at=\n"), left: size}),
		"devices without number":  &numbered{left: size, line: "[    1.0] EXT4-fs warning (device d%): f:1: inode #1: comm c%: page 1 does not have buffers attached\n"},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d, err := triage.Read(t.Context(), in, workload.Scenarios())
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 4<<20 {
			t.Errorf("%s: %d bytes are kept", name, kept)
		}
		encoded, err := json.Marshal(d)
		if err != nil || len(encoded) > 256<<10 {
			t.Errorf("%s: the answer has %d bytes, %v", name, len(encoded), err)
		}
	}
}

// numbered writes a line again and again, with another number each time in place of %.
type numbered struct {
	line string
	left int64
	n    int
	rest []byte
}

func (r *numbered) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left <= 0 {
			return 0, io.EOF
		}
		r.n++
		r.rest = []byte(strings.ReplaceAll(r.line, "%", strings.Repeat("x", r.n%9)+string(rune('a'+r.n%26))+strings.Repeat("y", r.n/26%99)))
		r.left -= int64(len(r.rest))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// What a log has for a terminal reaches none.
func TestNothingForATerminal(t *testing.T) {
	log := "[    1.0] EXT4-fs warning (device \x1b[2Jd\u202e): f:1: inode #1: comm \x1b]0;x\x07c\u009b31m: page 1 does not have buffers attached\n" +
		"[    1.0] kernel BUG at \u200bfs/x.c\x07:1!\n[    1.0] invalid opcode: 0000 [#1] SMP\n[    1.0] CPU: 0 PID: 1 Comm: \xff\x1b[31m\u2028 Not tainted 5.10.0-1-amd64\u202e #1\n"
	var out bytes.Buffer
	d := diagnosed(t, []byte(log))
	if err := report.Diagnosis(&out, d); err != nil {
		t.Fatal(err)
	}
	if d.Effect == "" || len(d.Others) == 0 {
		t.Errorf("%+v", d)
	}
	encoded, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() + string(encoded) {
		if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			t.Errorf("%q in\n%s", r, out.String())
		}
	}
}

// A reader that fails is no log that ended, and who waits no longer is not kept.
func TestReadFails(t *testing.T) {
	broken := errors.New("it broke")
	if _, err := triage.Read(t.Context(), io.MultiReader(strings.NewReader("[ 1.0] a\n"), iotestErr{broken}), workload.Scenarios()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := triage.Read(ctx, &endless{text: []byte("a\n"), left: 1 << 40}, workload.Scenarios()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

type iotestErr struct{ error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.error }

// FuzzRead reads anything. The answer is always one of those there are, with its reasons, in
// bounded size, and what a person sees of it is text.
func FuzzRead(f *testing.F) {
	for _, log := range logs(f) {
		f.Add(log)
	}
	for _, form := range []string{"journal, export with bytes", "journal, json with bytes", "quoted-printable", "/dev/kmsg", "wrapped, quoted", "colours"} {
		f.Add([]byte(forms[form]("[    1.0] EXT4-fs warning (device vda1): f:1: inode #12: comm a: folio 5 does not have buffers attached\n")))
	}
	catalogue := workload.Scenarios()
	f.Fuzz(func(t *testing.T, log []byte) {
		d, err := triage.Read(t.Context(), bytes.NewReader(log), catalogue)
		if err != nil {
			t.Fatal(err)
		}
		switch d.Sure {
		case triage.Certain, triage.Likely:
			if d.Effect == "" || d.Now == nil || len(d.Findings) == 0 || len(d.Findings[0].Lines) == 0 {
				t.Errorf("%+v", d)
			}
		case triage.Possible, triage.Nothing:
			if d.Effect != "" {
				t.Errorf("%+v", d)
			}
		case triage.Other:
			if len(d.Others) == 0 || len(d.Findings) > 0 || d.Now != nil {
				t.Errorf("%+v", d)
			}
		default:
			t.Errorf("%q", d.Sure)
		}
		if d.Why == "" || len(d.Findings) > 16 || len(d.Others) > 8 || len(d.Programs) > 8 || len(d.Devices) > 8 {
			t.Errorf("%+v", d)
		}
		for _, found := range append(d.Findings, d.Others...) {
			for _, l := range found.Lines {
				if l.Number == 0 || l.Number > d.Log.Lines || len(l.Text) > 10*400 {
					t.Errorf("%+v", l)
				}
			}
		}
		var out bytes.Buffer
		if err := report.Diagnosis(&out, d); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q in %s", r, out.String())
			}
		}
	})
}
