package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/creack/pty"

	"umemstress/soft-roce/lab"
)

// A terminal is the program's only as both its input and its output.
func TestSetInput(t *testing.T) {
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer tty.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tt := range map[string]struct {
		in       io.Reader
		out      io.Writer
		terminal *os.File
	}{
		"a terminal":       {tty, tty, tty},
		"into a pipe":      {tty, new(bytes.Buffer), nil},
		"from a file":      {file, tty, nil},
		"from no terminal": {new(bytes.Buffer), new(bytes.Buffer), nil},
	} {
		var c lab.Config
		setInput(&c, tt.in, tt.out)
		if c.Stdin != tt.in || c.Terminal != tt.terminal {
			t.Errorf("%s: stdin %v, terminal %v", name, c.Stdin, c.Terminal)
		}
	}
}
