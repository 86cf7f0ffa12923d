// Package evidence keeps a run's record, events and kernel log on disk while the run goes,
// and reads them again on any machine.
package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"umemstress/probes/event"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/record"
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
// on disk before the next phase begins, since the machine may die there.
type Directory struct {
	dir    *os.Root
	handle *os.File // the directory itself, to sync it
	events stream
	kmsg   stream
}

// stream is a file of lines.
type stream struct {
	file  *os.File
	dirty bool // lines were added since it was synced
}

func (s *stream) add(line []byte) error {
	s.dirty = true
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

func (s *stream) sync() error {
	if !s.dirty {
		return nil
	}
	s.dirty = false
	return file.Sync(s.file)
}

// Create makes the directory, which must not hold a run already.
func Create(dir string) (_ *Directory, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.Usagef("--output %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, RunFile)); err == nil {
		return nil, fault.Usagef("--output %s: it already holds the evidence of a run; name a new directory", dir)
	}
	e := &Directory{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write the evidence to %s: %w; choose another directory with --output", dir, err), e.Close())
		}
	}()
	if e.dir, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if e.handle, err = e.dir.Open("."); err != nil {
		return nil, err
	}
	if e.events.file, err = e.dir.Create(eventsFile); err != nil {
		return nil, err
	}
	e.kmsg.file, err = e.dir.Create(kmsgFile)
	return e, err
}

// SaveRecord replaces run.json: what is there is always whole.
func (e *Directory) SaveRecord(r *record.Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", RunFile, err)
	}
	if err := e.replace(RunFile, append(data, '\n')); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

func (e *Directory) replace(name string, data []byte) error {
	temporary := name + newSuffix
	f, err := e.dir.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, file.Sync(f), f.Close()); err == nil {
		err = e.dir.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, e.dir.Remove(temporary))
	}
	return file.Sync(e.handle)
}

// AddEvent adds a line to the events.
func (e *Directory) AddEvent(ev event.Event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return e.events.add(line)
}

// AddKmsg adds a line to the kernel's log.
func (e *Directory) AddKmsg(line string) error { return e.kmsg.add([]byte(line)) }

// Sync puts the streams on disk.
func (e *Directory) Sync() error {
	if err := errors.Join(e.events.sync(), e.kmsg.sync()); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

// Close closes the files and leaves them where they are.
func (e *Directory) Close() error {
	var errs []error
	for _, f := range []*os.File{e.events.file, e.kmsg.file, e.handle} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if e.dir != nil {
		errs = append(errs, e.dir.Close())
	}
	return errors.Join(errs...)
}
