package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"umemstress/probes/event"
)

// The files of an evidence directory.
const (
	runFile    = "run.json"
	eventsFile = "events.jsonl"
	kmsgFile   = "kmsg.log"
)

// evidence is a directory that is written as the run goes. Everything in it is
// on disk before the next phase begins, since the machine may die there.
type evidence struct {
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
	return fsync(s.file)
}

// createEvidence makes the directory, which must not hold a run already.
func createEvidence(dir string) (_ *evidence, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, usagef("--output %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, runFile)); err == nil {
		return nil, usagef("--output %s: it already holds the evidence of a run; name a new directory", dir)
	}
	e := &evidence{}
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
func (e *evidence) SaveRecord(r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", runFile, err)
	}
	if err := e.replace(runFile, append(data, '\n')); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

func (e *evidence) replace(name string, data []byte) error {
	temporary := name + ".new"
	f, err := e.dir.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, fsync(f), f.Close()); err == nil {
		err = e.dir.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, e.dir.Remove(temporary))
	}
	return fsync(e.handle)
}

// AddEvent adds a line to the events.
func (e *evidence) AddEvent(ev event.Event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return e.events.add(line)
}

// AddKmsg adds a line to the kernel's log.
func (e *evidence) AddKmsg(line string) error { return e.kmsg.add([]byte(line)) }

// Sync puts the streams on disk.
func (e *evidence) Sync() error {
	if err := errors.Join(e.events.sync(), e.kmsg.sync()); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

// Close closes the files and leaves them where they are.
func (e *evidence) Close() error {
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

// Load reads the evidence in dir, which may come from another machine and may
// end where that machine died.
func Load(dir string) (*Record, error) {
	path := filepath.Join(dir, runFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usagef("%s: no %s in it; name the directory that 'umemstress run' wrote", dir, runFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s: cut off or damaged after %d bytes: %w; copy the evidence again", path, len(data), err)
	}
	if head.Schema != Schema {
		return nil, usagef("%s: its schema is %q and not %s: it was not written by umemstress run, or by another version of it", path, head.Schema, Schema)
	}
	r := &Record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w; the file was changed after the run", path, err)
	}
	return r, nil
}

// LoadEvents reads the events of the evidence in dir. A last line that was cut
// off, as when the machine died, is left out and reported by whole.
func LoadEvents(dir string) (events []event.Event, whole bool, err error) {
	path := filepath.Join(dir, eventsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("read the evidence: %w", err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for i, line := range lines[:len(lines)-1] {
		var ev event.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return nil, false, fmt.Errorf("%s:%d: %w; the file was changed after the run", path, i+1, err)
		}
		events = append(events, ev)
	}
	return events, len(lines[len(lines)-1]) == 0, nil
}
