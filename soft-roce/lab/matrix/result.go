package matrix

import (
	"time"

	"umemstress/soft-roce/lab/machine"
)

// Schema names the format of matrix.json.
const Schema = "umemstress.matrix/v1"

// What becomes of a cell that gave no verdict.
const (
	OutcomeFailed    = "failed"        // the command failed: the reason is its own sentence
	OutcomeCrashed   = "guest-crashed" // it took the guest's kernel down
	OutcomeTimeout   = "timeout"       // it did not end in time
	OutcomeLabFailed = "lab-failed"    // the lab could not run it, twice
	OutcomeNotRun    = "not-run"       // the matrix was interrupted before it
)

// Result is what a matrix saw: the content of matrix.json.
type Result struct {
	Schema      string        `json:"schema"`
	Started     time.Time     `json:"started"`
	Seconds     float64       `json:"seconds"`
	Interrupted bool          `json:"interrupted"`
	Host        Host          `json:"host"`
	Jobs        int           `json:"jobs"`   // guests at a time
	Repeat      int           `json:"repeat"` // runs of each cell
	Differences int           `json:"differences"`
	Guests      []GuestRecord `json:"guests"`
	Cells       []Cell        `json:"cells"` // kernel by kernel, in the order in which they were run
}

// Host is what the seconds depend on.
type Host struct {
	Accel machine.Accel `json:"accel"`
	CPUs  int           `json:"cpus"`
}

// GuestRecord is a guest that was booted for the matrix.
type GuestRecord struct {
	Kernel      string  `json:"kernel"`
	Repetition  int     `json:"repetition"`
	BootSeconds float64 `json:"boot_seconds"` // to the start of its first cell; 0: it did not get there, or died later
	Seconds     float64 `json:"seconds"`
	Serial      string  `json:"serial"`            // its console, relative to matrix.json
	Trouble     string  `json:"trouble,omitempty"` // why it ended before its time
}

// Cell is a scenario on a kernel, with what was expected of it and what it did.
// Of several repetitions it shows the first that is not as expected, or else
// the first.
type Cell struct {
	Kernel   string `json:"kernel"`
	Release  string `json:"release"` // uname -r
	Scenario string `json:"scenario"`
	Expected string `json:"expected,omitempty"` // verdict; empty: explored, and compared with nothing
	Pages    string `json:"pages,omitempty"`    // all or some
	Source   string `json:"source,omitempty"`   // of the expectation
	Repetition
	Difference  bool         `json:"difference"`
	Differences []string     `json:"differences,omitempty"`
	Repetitions []Repetition `json:"repetitions,omitempty"` // if there are several
}

// collect puts the table together from the rounds.
func (result *Result) collect(m *Matrix, rounds []*round) {
	for k := range m.Columns {
		kernel := &m.Columns[k]
		for i, e := range kernel.Cells {
			var repetitions []Repetition
			for _, r := range rounds {
				if r.kernel == kernel {
					repetitions = append(repetitions, r.cells[i])
				}
			}
			cell := newCell(e, kernel, repetitions)
			if cell.Difference {
				result.Differences++
			}
			result.Cells = append(result.Cells, cell)
		}
	}
	for _, r := range rounds {
		result.Guests = append(result.Guests, r.guests...)
	}
}

func newCell(e Expectation, kernel *Column, repetitions []Repetition) Cell {
	cell := Cell{
		Kernel:   kernel.Name,
		Release:  kernel.Kernel.Release,
		Scenario: e.Scenario,
		Expected: e.Verdict,
		Pages:    e.Pages,
		Source:   e.Source,
	}
	var shown int
	cell.Differences, shown = e.compare(repetitions)
	cell.Difference = len(cell.Differences) > 0
	cell.Repetition = repetitions[shown]
	if len(repetitions) > 1 {
		cell.Repetitions = repetitions
	}
	return cell
}
