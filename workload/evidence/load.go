package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"umemstress/probes/event"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

// Load reads the evidence in dir, which may come from another machine and may
// end where that machine died.
func Load(dir string) (*record.Record, error) {
	path := filepath.Join(dir, RunFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Usagef("%s: no %s in it; name the directory that 'umemstress run' wrote", dir, RunFile)
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
	if head.Schema != record.Schema {
		return nil, fault.Usagef("%s: its schema is %q and not %s: it was not written by umemstress run, or by another version of it", path, head.Schema, record.Schema)
	}
	r := &record.Record{}
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
