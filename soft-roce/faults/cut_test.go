package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// whole is the evidence of a run that lost data.
const (
	whole        = "testdata/evidence"
	wholeVerdict = record.DataLost
)

// lastBytes is how much of each file is cut, byte by byte: it has several lines.
const lastBytes = 1024

// judge judges the evidence as the program does, and tells of a panic instead of dying of it.
func judge(t *testing.T, dir string) (verdict record.Verdict, err error) {
	t.Helper()
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("panic: %v", found)
		}
	}()
	quiet := logrus.New()
	quiet.SetLevel(logrus.PanicLevel)
	r, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, quiet)
	if err != nil {
		return "", err
	}
	return r.Verdict, nil
}

// copyWhole copies the evidence to where it can be damaged.
func copyWhole(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A machine may die while any of the files is written. What is cut off the streams changes
// nothing; a record is whole or is refused in a sentence.
func TestCutEvidence(t *testing.T) {
	cuts := 0
	for _, name := range []string{evidence.RunFile, "events.jsonl", "kmsg.log"} {
		dir := copyWhole(t)
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) < lastBytes {
			t.Fatalf("%s has %d bytes; the evidence is to have %d and more", name, len(content), lastBytes)
		}
		const newline = 1
		wrong := 0
		for n := len(content); n >= len(content)-lastBytes; n-- {
			write(t, path, string(content[:n]))
			cuts++
			verdict, err := judge(t, dir)
			complaint := ""
			switch refused := name == evidence.RunFile && n < len(content)-newline; {
			case !refused && (err != nil || verdict != wholeVerdict):
				complaint = fmt.Sprintf("it is judged %q, %v; want %s", verdict, err, wholeVerdict)
			case refused && err == nil:
				complaint = fmt.Sprintf("it is judged %s", verdict)
			case refused && (!strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "panic")):
				complaint = fmt.Sprintf("it says %q", err)
			}
			if complaint == "" {
				continue
			}
			if wrong++; wrong <= 3 {
				t.Errorf("%s, cut to %d of %d bytes: %s", name, n, len(content), complaint)
			}
		}
		if wrong > 3 {
			t.Errorf("%s: %d of %d cuts in all", name, wrong, lastBytes+1)
		}
	}
	fmt.Printf("evidence cut at %d places\n", cuts)
}

// The program itself says the same of some of the cuts.
func TestCutEvidenceByProgram(t *testing.T) {
	for _, name := range []string{evidence.RunFile, "events.jsonl", "kmsg.log"} {
		dir := copyWhole(t)
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int{2, 3, 100, 500, lastBytes} {
			write(t, path, string(content[:len(content)-off]))
			p := start(t, nil, program(t), "verdict", dir)
			want := wholeVerdict.ExitCode()
			if name == evidence.RunFile {
				want = 1
			}
			if !p.ended(10*time.Second) || p.code() != want {
				t.Errorf("%s without its last %d bytes: want exit code %d: %s", name, off, want, p)
			} else if wrong := wrongSentence(p.stderr.String()); want == 1 && wrong != "" {
				t.Errorf("%s without its last %d bytes: %s: %s", name, off, wrong, p)
			}
		}
	}
}

// Evidence of a stranger may be anything. It is judged or refused soon, in little memory, and
// writes nothing to a terminal but text.
func TestStrangeEvidence(t *testing.T) {
	const (
		memory = 8 << 30 // of addresses: Go reserves some that it does not use
		escape = "\\u001b[31mRED\\nverdict CLEAN"
	)
	link := func(target string) func(string) error {
		return func(path string) error { return os.Symlink(target, path) }
	}
	for _, c := range []struct {
		name string
		file string
		put  func(path string) error // in place of the file
		code int
	}{
		{"record without end", evidence.RunFile, link("/dev/zero"), 2},
		{"events without end", "events.jsonl", link("/dev/zero"), 2},
		{"record of a pipe", evidence.RunFile, func(path string) error { return unix.Mkfifo(path, 0o644) }, 2},
		{"events of a pipe", "events.jsonl", func(path string) error { return unix.Mkfifo(path, 0o644) }, 2},
		{"record of a directory", evidence.RunFile, func(path string) error { return os.Mkdir(path, 0o755) }, 2},
		{"record of 4 GiB", evidence.RunFile, func(path string) error {
			f, err := os.Create(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(4 << 30)
		}, 2},
		{"terminal codes", evidence.RunFile, func(path string) error {
			content, err := os.ReadFile(filepath.Join(whole, evidence.RunFile))
			if err != nil {
				return err
			}
			return os.WriteFile(path, []byte(strings.Replace(string(content), `"kernel": "`, `"kernel": "`+escape, 1)), 0o644)
		}, wholeVerdict.ExitCode()},
	} {
		dir := copyWhole(t)
		path := filepath.Join(dir, c.file)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := c.put(path); err != nil {
			t.Fatal(err)
		}
		p := start(t, nil, "prlimit", fmt.Sprintf("--as=%d", memory), program(t), "verdict", dir)
		switch {
		case !p.ended(10 * time.Second):
			t.Errorf("%s: it was not at its end after 10 s", c.name)
		case p.code() != c.code || crash(p.stderr.String()) != "":
			t.Errorf("%s: want exit code %d: %s", c.name, c.code, p)
		case c.code == 2 && wrongSentence(p.stderr.String()) != "":
			t.Errorf("%s: %s: %s", c.name, wrongSentence(p.stderr.String()), p)
		case strings.Contains(p.stdout.String(), "\x1b") || strings.Contains(p.stdout.String(), "\nverdict CLEAN"):
			t.Errorf("%s: it reaches the terminal: %s", c.name, p)
		}
	}
}
