package evidence

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
)

const (
	// maxConsoles is how many logs are read.
	maxConsoles = 16
	// consoleTail is how much of a log is read: its end, since a machine says last what it
	// dies of.
	consoleTail = 64 << 20
)

// consoles are the files in dir that may be logs of a kernel which has died: kmsg.log, the
// serial log of a guest, and what else was put there, such as a vmcore-dmesg.
func consoles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	names := []string{kmsgFile} // the first to be told what happened
	for _, e := range entries {
		name := e.Name()
		own := strings.HasPrefix(name, RunFile) || slices.Contains([]string{eventsFile, kmsgFile}, name)
		if !own && e.Type().IsRegular() && len(names) < maxConsoles {
			names = append(names, name)
		}
	}
	return names, nil
}

// readConsoles looks in all logs for what the kernel said of its end.
func readConsoles(ctx context.Context, dir string) (record.ConsoleChannel, error) {
	c := record.ConsoleChannel{State: record.StateAbsent}
	names, err := consoles(dir)
	if err != nil {
		return c, err
	}
	for _, name := range names {
		deaths, err := readConsole(ctx, dir, name)
		switch {
		case errors.Is(err, os.ErrNotExist): // kmsg.log, which others tell of
			continue
		case err != nil:
			return c, err
		case len(deaths) > 0:
			c.State = record.StateOK
			c.Files = append(c.Files, printable.Text(name))
			c.Deaths = append(c.Deaths, deaths...)
		}
	}
	return c, nil
}

// Logs hands over the lines of all logs in dir, which may be anybody's: of their ends, each log with
// its name before its first line.
func Logs(ctx context.Context, dir string, begin func(name string), line func(string)) error {
	names, err := consoles(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		begin(name)
		if err := readConsoleLines(ctx, dir, name, line); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// readConsole reads what a log tells of deaths.
func readConsole(ctx context.Context, dir, name string) ([]record.Death, error) {
	var deaths kmsg.Deaths
	err := readConsoleLines(ctx, dir, name, func(line string) { deaths.Add(kmsg.Classify(line)) })
	var all []record.Death
	for _, d := range deaths.All {
		all = append(all, record.Death(d))
	}
	return all, err
}

// readConsoleLines reads the end of a log, whatever is in it.
func readConsoleLines(ctx context.Context, dir, name string, each func(line string)) error {
	f, err := open(dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if skip := info.Size() - consoleTail; skip > 0 {
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			return fmt.Errorf("read %s: %w", printable.Text(filepath.Join(dir, name)), err)
		}
	}
	lines := bufio.NewReaderSize(io.LimitReader(f, consoleTail), maxLine)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, cut, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", printable.Text(filepath.Join(dir, name)), err)
		}
		if !cut && bytes.IndexByte(line, 0) < 0 { // the kernel's lines are short, and text
			each(string(line))
		}
	}
}
