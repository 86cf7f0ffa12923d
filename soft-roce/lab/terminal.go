package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/workload/child"
)

// IsTerminal tells whether what a program reads or writes is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// InForeground tells whether this process may read from the terminal: one in the
// background is stopped for it.
func InForeground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// terminalOf is the terminal that the program gets, and nil if it gets none.
func terminalOf(c *Config) *proto.Terminal {
	if c.Terminal == nil {
		return nil
	}
	return &proto.Terminal{Size: terminalSize(c.Terminal), Stderr: IsTerminal(c.Stderr)}
}

// terminalSize is zero where there is none.
func terminalSize(f *os.File) proto.Size {
	cols, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return proto.Size{}
	}
	return proto.Size{Rows: uint16(rows), Cols: uint16(cols)}
}

// rawTerminal is a terminal of this host that passes every key on to the guest.
type rawTerminal struct {
	file    *os.File
	before  *term.State
	janitor *child.Janitor
	resizes chan os.Signal
	restore func() error // once
}

// makeRaw makes it so until restore, or until this process is killed: a shell that sees
// it end restores the terminal then.
func makeRaw(f *os.File, resized func(proto.Size)) (_ *rawTerminal, err error) {
	t := &rawTerminal{file: f, resizes: make(chan os.Signal, 1)}
	t.restore = sync.OnceValue(t.undo)
	saved, err := savedModes(f)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if t.janitor, err = child.StartJanitor([]*os.File{f}, `stty "$1" <&3`, saved); err != nil {
		return nil, err
	}
	if t.before, err = term.MakeRaw(int(f.Fd())); err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), t.janitor.Close())
	}
	signal.Notify(t.resizes, unix.SIGWINCH)
	go func() {
		for range t.resizes {
			resized(terminalSize(f))
		}
	}()
	resized(terminalSize(f)) // it may have changed while the guest booted
	return t, nil
}

// savedModes are the terminal's, as stty takes them again.
func savedModes(f *os.File) (string, error) {
	out, err := host.Stty.RunAs(context.Background(), host.Call{In: f}, "-g")
	return strings.TrimSpace(string(out)), err
}

func (t *rawTerminal) undo() error {
	signal.Stop(t.resizes)
	close(t.resizes)
	return errors.Join(term.Restore(int(t.file.Fd()), t.before), t.janitor.Close())
}
