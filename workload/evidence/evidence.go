// Package evidence keeps a run's record, events and kernel log on disk while the run goes,
// and reads them again on any machine.
package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"umemstress/probes/event"
)

// The files of an evidence directory.
const (
	RunFile    = "run.json"
	eventsFile = "events.jsonl"
	kmsgFile   = "kmsg.log"
)

// newSuffix is of a file that is written and not yet whole.
const newSuffix = ".new"

// Directory is a directory that is written as the run goes. Everything in it is
// on disk before the next phase begins, since the machine may die there. Lines may be added,
// and synced, by several goroutines at once.
type Directory struct {
	dir    *os.Root
	handle *os.File // the directory itself, to sync it
	events stream
	kmsg   stream
	spare  *os.File // space for the last record; nil: given up
}

// AddEvent adds a line to the events.
func (e *Directory) AddEvent(ev event.Event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return e.events.add(line)
}

// AddStack adds a line to the events that names the functions of a stack, innermost first.
func (e *Directory) AddStack(id int32, frames []string) error {
	line, err := json.Marshal(stackLine{Stack: id, Frames: frames})
	if err != nil {
		return fmt.Errorf("encode a stack: %w", err)
	}
	return e.events.add(line)
}

// AddKmsg adds a line to the kernel's log.
func (e *Directory) AddKmsg(line string) error { return e.kmsg.add([]byte(line)) }

// Sync puts the streams on disk. The first error that a stream had stays its error.
func (e *Directory) Sync() error {
	events, kmsg := e.events.sync(), e.kmsg.sync()
	if events != nil {
		return events
	}
	return kmsg
}

// Close closes the files and leaves them where they are.
func (e *Directory) Close() error {
	var errs []error
	for _, f := range []*os.File{e.events.file, e.kmsg.file, e.handle, e.spare} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if e.dir != nil {
		errs = append(errs, e.dir.Close())
	}
	return errors.Join(errs...)
}
