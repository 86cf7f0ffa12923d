package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/observe"
)

// maxLine is longer than any line that is written: that of a stack of 32 functions whose names
// are as long as the kernel lets them be, 511 bytes.
const maxLine = 64 << 10

// A Reading is what a journal holds.
type Reading struct {
	Ended   bool             // the observer came to its end, and said so
	Cut     bool             // the last line is not whole: the machine died, or the disk was full
	Holes   int              // lines that the file system lost when the machine died
	Summary *observe.Summary // when the sums last changed; nil: there is none
}

// Read tells the lines of a journal in the order in which they were written, and last the sums,
// unless the observer told them itself. It may come from another machine, and from anybody.
func Read(dir string, tell func(observe.Line) error) (Reading, error) {
	var r Reading
	f, err := open(filepath.Join(dir, EventsFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return r, usage(fmt.Sprintf("journal: %s holds no journal: it has no %s", dir, EventsFile))
	}
	if err != nil {
		return r, fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	if r.Summary, err = readSummary(dir); err != nil {
		return r, fmt.Errorf("journal: %w", err)
	}
	var last time.Time
	lines := bufio.NewReaderSize(f, maxLine)
	for number := 1; ; number++ {
		text, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			r.Cut = len(text) > 0
			if !r.Ended && r.Summary != nil {
				return r, tell(observe.Line{Schema: observe.Schema, Time: last, Event: observe.Ended, Summary: r.Summary})
			}
			return r, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return r, fmt.Errorf("journal: line %d is longer than %d bytes, as no line is; the file was changed", number, maxLine)
		case err != nil:
			return r, fmt.Errorf("journal: line %d: %w", number, err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			r.Holes++ // JSON has no such byte: blocks that were given to the file and not written
			continue
		}
		var l observe.Line
		if err := json.Unmarshal(text, &l); err != nil {
			return r, fmt.Errorf("journal: line %d: %w; the file was changed", number, err)
		}
		if l.Schema != observe.Schema {
			return r, fmt.Errorf("journal: line %d has the schema %q, and this version reads %s", number, l.Schema, observe.Schema)
		}
		if l.Summary == nil && (l.Event == observe.Ended || l.Event == observe.Lost) {
			return r, fmt.Errorf("journal: line %d, a %s, has no sums; the file was changed", number, l.Event)
		}
		r.Ended = r.Ended || l.Event == observe.Ended
		last = l.Time
		if err := tell(l); err != nil {
			return r, err
		}
	}
}

func readSummary(dir string) (*observe.Summary, error) {
	f, err := open(filepath.Join(dir, summaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var s observe.Summary
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%s: %w; the file was changed", summaryFile, err)
	}
	return &s, nil
}

// open opens a file that may come from anybody: what is not a regular one could hang the reader.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
