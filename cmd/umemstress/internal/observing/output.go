package observing

import (
	"context"
	"errors"
	"fmt"

	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/bytesize"
	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/rotating"
	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/probes/observe"
)

const (
	// leastOutput has room for any line: one of a stack of 32 functions has some 16 KiB at most.
	leastOutput = 64 << 10
	mostKept    = 999
)

// outputFlags are those of the file that lines go to.
type outputFlags struct {
	path string
	size string
	keep int
}

// check refuses what cannot be; given says which flags there are on the command line.
func (f *outputFlags) check(given func(flag string) bool) error {
	for _, flag := range []string{"output-size", "output-keep"} {
		if f.path == "" && given(flag) {
			return exit.Usagef("--%s: there is no --output-file that it could be about", flag)
		}
	}
	for _, flag := range []string{"read", "dry-run"} {
		if f.path != "" && given(flag) {
			return exit.Usagef("--output-file does not go with --%s, which ends at once: have standard output led to the file", flag)
		}
	}
	size, err := bytesize.Parse(f.size)
	if err != nil {
		return exit.Usagef("--output-size %w", err)
	}
	if size > 0 && size < leastOutput {
		return exit.Usagef("--output-size %s: give at least %s, which has room for any line, or 0 for a file without end", f.size, bytesize.Format(leastOutput))
	}
	if f.keep < 0 || f.keep > mostKept {
		return exit.Usagef("--output-keep %d: give how many full files to keep, at most %d", f.keep, mostKept)
	}
	return nil
}

// An output is the file that lines go to instead of standard output. Who observes goes on
// whatever becomes of it, and fails in the end.
type output struct {
	file   *rotating.File
	failed error // the first time
}

// open opens the file, and has SIGHUP open it anew until ctx ends. nil: nobody asked.
func (f *outputFlags) open(ctx context.Context) (*output, error) {
	if f.path == "" {
		return nil, nil
	}
	size, err := bytesize.Parse(f.size)
	if err != nil {
		return nil, err // check has seen it
	}
	file, err := rotating.Open(f.path, size, f.keep)
	if err != nil {
		return nil, fmt.Errorf("--output-file: %w", err)
	}
	hangups := signals.Hangups()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				logrus.Debugf("SIGHUP: %s is opened anew", f.path)
				file.ReopenSoon()
			}
		}
	}()
	return &output{file: file}, nil
}

// Write writes a line. One that goes to another file than it should is written all the same.
func (o *output) Write(line []byte) (int, error) {
	n, err := o.file.Write(line)
	var misplaced *rotating.Misplaced
	switch {
	case errors.As(err, &misplaced):
		o.lose(err, "")
	case err != nil:
		o.lose(err, "; each line is tried, and those that cannot be written are counted as lost")
		return n, errors.Join(observe.ErrNotWritten, err)
	}
	return n, nil
}

// idle opens the file anew if that is asked for.
func (o *output) idle() error {
	if err := o.file.Reopen(); err != nil {
		o.lose(err, "")
	}
	return nil
}

func (o *output) lose(err error, whatNow string) {
	if o.failed == nil {
		o.failed = fmt.Errorf("--output-file: %w", err)
		logrus.Warnf("%v%s", o.failed, whatNow)
	}
}

func (o *output) close() error {
	if o == nil {
		return nil
	}
	if err := o.file.Close(); o.failed == nil && err != nil {
		return fmt.Errorf("--output-file: %w", err)
	}
	return o.failed
}
