package matrix

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload/meminfo"
	"umemstress/workload/record"
)

// Matrix is a table of scenarios by kernels, and how it is run. A guest runs all
// scenarios of its kernel, one after the other, each in a process of its own;
// a guest that died or hung is booted again for those that are left.
type Matrix struct {
	Columns []Column

	// Command is what runs a scenario in the guest and writes run.json into dir,
	// which is the same directory there and here.
	Command func(scenario, dir string) []string

	Dir    string     // for the evidence: KERNEL/SCENARIO/run.json; must exist
	Jobs   int        // guests at a time; default: one a CPU, within MaxJobs
	Repeat int        // how often each cell is run; default: 1
	Guest  lab.Config // what guests have in common; Kernel, Program, Shares, Serial are the matrix's own

	// CellTimeout ends a scenario that hangs. The default is a minute, of which a
	// scenario of 4 MiB takes a tenth under software emulation.
	CellTimeout time.Duration

	// hangTime is what a cell may take beyond its time, to be killed and for the
	// line that tells of it to arrive. After that it is the guest that hangs.
	hangTime time.Duration

	Progress func(Progress) // never called by two at a time; nil: nobody looks
}

// Column is a column of the table.
type Column struct {
	Name   string // as in the expectations
	Kernel kernels.Kernel
	Cells  []Expectation // in the order in which they are run
}

// Progress tells that a cell is about to run, or has run.
type Progress struct {
	Kernel      string
	Scenario    string
	Repetition  int  // from 1
	Done        bool // the rest is of a cell that has run
	Result      Repetition
	Differences []string
}

// Run runs the matrix and compares what it saw with what was expected. The
// result is there with an error, too, as far as the matrix got: when ctx is
// cancelled, the error is context.Canceled and the guests are gone. What goes
// wrong in a guest is part of the result and no error.
func (m Matrix) Run(ctx context.Context) (*Result, error) {
	m, err := m.defaults()
	begin := time.Now()
	result := &Result{
		Schema:  Schema,
		Started: begin.UTC(),
		Repeat:  m.Repeat,
		Jobs:    m.Jobs,
		Host:    Host{CPUs: runtime.NumCPU()},
	}
	if err != nil {
		return result, err
	}
	if m.Dir, err = filepath.Abs(m.Dir); err != nil {
		return result, err
	}
	if m.Guest.Accel == "" && len(m.Columns) > 0 {
		if m.Guest.Accel, err = lab.Accelerator(ctx, m.Columns[0].Kernel, m.Guest.Log); err != nil {
			return result, err
		}
	}
	result.Host.Accel = m.Guest.Accel

	rounds := m.rounds()
	var workers errgroup.Group
	workers.SetLimit(m.Jobs)
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, r := range longestFirst(rounds) {
		workers.Go(func() error {
			err := r.run(running)
			if err != nil {
				cancel(err) // what one guest lacks, the others lack, too
			}
			return err
		})
	}
	if err = workers.Wait(); err != nil {
		err = context.Cause(running) // of the first that failed, not of those that it stopped
	}
	if ctx.Err() != nil {
		err, result.Interrupted = ctx.Err(), true
	}
	result.collect(&m, rounds)
	result.Seconds = time.Since(begin).Seconds()
	return result, err
}

func (m Matrix) defaults() (Matrix, error) {
	m.Repeat = max(m.Repeat, 1)
	if m.CellTimeout == 0 {
		m.CellTimeout = time.Minute
	}
	if m.hangTime == 0 {
		m.hangTime = 30 * time.Second
	}
	if m.Guest.Memory == 0 {
		m.Guest.Memory = 1 << 30
	}
	if m.Jobs == 0 {
		most, err := MaxJobs(m.Guest.Memory)
		if err != nil {
			return m, err
		}
		m.Jobs = min(runtime.NumCPU(), most)
	}
	if m.Guest.CPUs == 0 && m.Jobs > 1 {
		// Processors of an emulated guest are threads that wait for each other:
		// two guests with one each do more than one guest with two.
		m.Guest.CPUs = max(1, runtime.NumCPU()/m.Jobs)
	}
	return m, nil
}

// rounds are the guests to run: for each repetition, one for each kernel. A
// repetition has a guest of its own because every page that ext4 drops leaks
// one from the guest's budget of dirty pages, until all writers are throttled.
func (m *Matrix) rounds() []*round {
	var progress sync.Mutex
	var rounds []*round
	for number := range m.Repeat {
		for k := range m.Columns {
			r := newRound(m, &m.Columns[k], number+1)
			r.tell = func(p Progress) {
				if m.Progress != nil {
					progress.Lock()
					defer progress.Unlock()
					m.Progress(p)
				}
			}
			rounds = append(rounds, r)
		}
	}
	return rounds
}

// longestFirst is the order to run them in: what is begun last is to leave no worker alone for long. A
// cell that kills its guest takes the next one's boot, too, as long as two cells.
func longestFirst(rounds []*round) []*round {
	weight := func(r *round) int {
		cells := len(r.kernel.Cells)
		for _, e := range r.kernel.Cells {
			if e.Verdict == string(record.Crashed) {
				cells += 2
			}
		}
		return cells
	}
	return slices.SortedStableFunc(slices.Values(rounds), func(a, b *round) int { return weight(b) - weight(a) })
}

// MaxJobs is how many guests of so many bytes of memory fit side by side into three
// quarters of what is available on this host; at least one, which may always be tried.
func MaxJobs(memory int64) (int, error) {
	has, err := meminfo.Read()
	if err != nil {
		return 1, err
	}
	return max(1, guestsWithin(has.Available*3/4, memory)), nil
}

// emulatorMemory is ample for what QEMU takes beside the guest's memory: its own, and
// translated code with what it keeps of that.
const emulatorMemory = 512 << 20

func guestsWithin(available, memory int64) int {
	return int(available / (memory + emulatorMemory))
}
