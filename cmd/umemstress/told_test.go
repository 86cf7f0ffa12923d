package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"

	"golang.org/x/sys/unix"
)

// An error is one line, and commands no terminal, whatever the command line had in it.
func TestErrorsArePrintable(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--strip", "a\nb"}, `--strip "a\nb": choose`},
		{[]string{"run", "--strip=\x1b[31m"}, `--strip "\x1b[31m": choose`},
		{[]string{"run", "--scenario", "rdma/ext4\n/none/none"}, `--fs "ext4\n": choose`},
		{[]string{"run", "--preset", "\x1b]0;pwn\a"}, `--preset "\x1b]0;pwn\a": choose`},
		{[]string{"check", "--format", "a\rb"}, `--format "a\rb": choose`},
		{[]string{"verdict", "no\nwhere"}, `umemstress: no\nwhere: no run.json`},
		{[]string{"check", "a\u009bb"}, `got "a\u009bb"`},
	} {
		var out, log bytes.Buffer
		if code := execute(t.Context(), c.args, &out, &log); code != exit.Usage {
			t.Errorf("%q: exit code %d", c.args, code)
		}
		text := log.String()
		if !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\a\r\u009b") {
			t.Errorf("%q: %q, want %s in it", c.args, text, c.want)
		}
	}
	// What comes from elsewhere may have several lines.
	err := errors.Join(fmt.Errorf("mkfs: \x1b[1mno\t"), errors.New("and more"))
	if got, want := exit.Told(err, nil), "mkfs: \\x1b[1mno\t\nand more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A result that cannot be written is a failure, of every command and of its help.
func TestResultNotWritten(t *testing.T) {
	for _, args := range []string{
		"--help", "--version", "version", "run --help", "completion bash", "soft-roce", "soft-roce status", "scenarios",
		"scenarios --format json", "check",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		code := execute(t.Context(), strings.Fields(args), full, &log)
		if code != exit.Failed || strings.Count(log.String(), "no space left on device") != 1 {
			t.Errorf("%s: exit code %d: %s", args, code, log.String())
		}
		full.Close()
	}
}

// A command sees the terminal that it writes to, as one does that hands it to a guest.
func TestTerminalReachesCommands(t *testing.T) {
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if !isTerminal(control) {
		t.Error("a terminal's control side is taken for none")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || isTerminal(new(bytes.Buffer)) {
		t.Error("what is no terminal is taken for one")
	}
}
