package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
)

// maxRecord bounds run.json, which a run leaves some ten kilobytes long.
const maxRecord = 4 << 20

// Load reads the record in dir, which may come from anybody, and may end where a machine
// died.
func Load(dir string) (*record.Record, error) {
	path := printable.Text(filepath.Join(dir, RunFile))
	data, err := readAll(dir, RunFile, maxRecord)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, withoutRecord(dir)
	case errors.Is(err, unix.ENOTDIR):
		return nil, fault.Usagef("%s: it is no directory; name the directory that 'umemstress run' wrote", printable.Text(dir))
	case err != nil:
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s: cut off or damaged after %d bytes: %s; a run leaves it whole, so copy the evidence again", path, len(data), printable.Text(err.Error()))
	}
	if head.Schema != record.Schema {
		return nil, fault.Usagef("%s: its schema is %q and not %s: it was not written by umemstress run, or by another version of it", path, head.Schema, record.Schema)
	}
	r := &record.Record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %s; the file was changed after the run", path, printable.Text(err.Error()))
	}
	if r.Verdict != "" && !r.Verdict.Known() {
		return nil, fault.Usagef("%s: it has the verdict %q, which this version does not know; judge it with the version that wrote it", path, string(r.Verdict))
	}
	return r, nil
}

// withoutRecord says what there is in a directory that has no run.json.
func withoutRecord(dir string) error {
	var found []string
	for _, name := range []string{RunFile + newSuffix, eventsFile, kmsgFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			found = append(found, name)
		}
	}
	shown := printable.Text(dir)
	switch {
	case len(found) == 0:
		return fault.Usagef("%s: no %s in it; name the directory that 'umemstress run' wrote", shown, RunFile)
	case slices.Contains(found, RunFile+newSuffix):
		return fault.Usagef("%s: no %s in it, but %s: the run was killed while it first saved its record, so there is nothing to judge; run it again", shown, RunFile, strings.Join(found, " and "))
	}
	return fault.Usagef("%s: no %s in it, but %s: the run was killed before it saved its record, or the file was not copied; copy the evidence again, or run it again", shown, RunFile, strings.Join(found, " and "))
}
