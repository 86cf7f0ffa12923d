package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/machine"
	"umemstress/workload/filesystem"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// round is one repetition of a kernel's column.
type round struct {
	m      *Matrix
	kernel *Column
	number int // of the repetition, from 1
	tell   func(Progress)

	cells   []Repetition // in the order of kernel.Cells
	pending []int        // indices of cells that have not run to their end
	guests  []GuestRecord
	losses  int // guests that were lost while no cell was running

	// Of the guest that is running.
	serial  string // path of its log
	begins  int    // cells that it began
	running int    // index of the cell; -1: none
	begun   time.Time
	watch   *time.Timer
}

func newRound(m *Matrix, k *Column, number int) *round {
	r := &round{m: m, kernel: k, number: number, running: -1, cells: make([]Repetition, len(k.Cells))}
	for i := range k.Cells {
		r.cells[i].Got = OutcomeNotRun
		r.pending = append(r.pending, i)
	}
	return r
}

// pmemBytes is room for a file system with the files that cells have.
const pmemBytes = 128 << 20

// needsPmem says whether a pending cell is of a file system on persistent memory. On a kernel that has no
// driver for that, such a cell fails, and the others have nothing to do with it.
func (r *round) needsPmem() bool {
	return slices.ContainsFunc(r.pending, func(cell int) bool {
		part := strings.Split(r.kernel.Cells[cell].Scenario, "/")
		kind, _ := scenario.Find(filesystem.Kinds(), part[min(1, len(part)-1)])
		return kind.Backing == scenario.OnPmem
	})
}

// maxAttempts bounds how often a cell is begun when the lab, not the cell, is
// what failed.
const maxAttempts = 2

// bootTime is ample for a guest to come up while its host is busy.
const bootTime = 3 * time.Minute

// run boots guests until every cell has run.
func (r *round) run(ctx context.Context) error {
	for len(r.pending) > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.boot(ctx); err != nil {
			return err
		}
	}
	return nil
}

// boot runs one guest for the pending cells and settles what became of the cell
// that it was running when it ended.
func (r *round) boot(ctx context.Context) error {
	dir := filepath.Join(r.m.Dir, r.kernel.Name)
	if err := r.makeDirs(); err != nil {
		return err
	}
	c := r.m.Guest
	c.Kernel = r.kernel.Kernel
	if c.Pmem == 0 && r.needsPmem() && c.Kernel.CheckPmem() == nil {
		c.Pmem = pmemBytes
	}
	c.Program = []string{"sh", "-c", r.script()}
	c.Dir = "/"
	c.Shares = []string{dir}
	r.serial = filepath.Join(dir, fmt.Sprintf("serial-%d.%d.log", r.number, len(r.guests)+1))
	c.Serial = r.serial
	lines := &lineReader{line: r.line}
	c.Stdout = lines

	guestCtx, kill := context.WithCancel(ctx)
	defer kill()
	var hung atomic.Bool
	r.running, r.begins = -1, 0
	r.watch = time.AfterFunc(bootTime, func() { hung.Store(true); kill() })
	begin := time.Now()
	result, err := lab.Run(guestCtx, c)
	r.watch.Stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	guest := GuestRecord{
		Kernel: r.kernel.Name, Repetition: r.number, Serial: r.relative(c.Serial),
		BootSeconds: result.Boot.Seconds(), Seconds: time.Since(begin).Seconds(),
	}
	var crash *lab.CrashError
	var failed *lab.LabError
	switch {
	case errors.As(err, &crash):
		guest.Trouble = "its kernel crashed: " + crash.Reason
		r.settle(OutcomeCrashed, crash.Reason)
	case hung.Load():
		guest.Trouble = "it hung"
		r.settle(OutcomeTimeout, "the guest hung"+r.trouble())
	case errors.As(err, &failed):
		guest.Trouble = failed.Err.Error()
		r.settle(OutcomeLabFailed, fmt.Sprintf("%s: %v", failed.Op, failed.Err))
	case err != nil:
		return err
	case lines.err != nil:
		guest.Trouble = lines.err.Error()
		r.settle(OutcomeLabFailed, guest.Trouble)
	case result.ExitCode != 0 || r.running >= 0 || r.begins == 0:
		guest.Trouble = fmt.Sprintf("its shell ended before its time, with exit code %d", result.ExitCode)
		r.settle(OutcomeLabFailed, guest.Trouble)
	}
	r.guests = append(r.guests, guest)
	return nil
}

// settle says what became of the cell that was running when the guest ended
// before its time. The second time that no cell was running, the lab gives
// up.
func (r *round) settle(outcome, reason string) {
	if r.running >= 0 {
		i := r.running
		r.running = -1
		r.cells[i].Seconds = time.Since(r.begun).Seconds()
		if phase := runningPhase(r.cellDir(i)); phase != "" {
			reason = "in phase " + phase + ": " + reason
		}
		r.conclude(i, outcome, reason)
		return
	}
	r.losses++
	if r.losses < maxAttempts {
		return
	}
	for len(r.pending) > 0 {
		i := r.pending[0]
		r.cells[i].Got, r.cells[i].Reason = OutcomeLabFailed, reason
		r.finish(i)
	}
}

// conclude gives a cell its outcome, unless it was the lab that failed: then the
// cell is left to the next guest, once, and its evidence so far is kept under
// another name.
func (r *round) conclude(i int, outcome, reason string) {
	cell := &r.cells[i]
	if r.isLabs(outcome, reason) && cell.Attempts < maxAttempts {
		dir := r.cellDir(i)
		err := os.Rename(dir, fmt.Sprintf("%s.attempt-%d", dir, cell.Attempts))
		if err == nil {
			cell.Exit = nil
			cell.Earlier = append(cell.Earlier, outcome+": "+reason)
			return
		}
		reason += fmt.Sprintf(" (not run again: %v)", err)
	}
	cell.Got, cell.Reason = outcome, reason
	r.finish(i)
}

// trouble is what the guest's kernel complained of and survived, for the end of
// a sentence.
func (r *round) trouble() string {
	if line, ok := machine.TroubleLine(readFile(r.serial)); ok {
		return fmt.Sprintf("; its kernel said %q", line)
	}
	return ""
}

// isLabs tells whether an outcome is the lab's doing and not the cell's. That
// includes a breakpoint that nobody set: kernels put one where they change their
// own code, and on a busy host a processor in software emulation was seen to run
// into it after it had been taken away.
func (r *round) isLabs(outcome, reason string) bool {
	if record.Verdict(outcome).Known() {
		return false
	}
	return outcome == OutcomeLabFailed || r.m.Guest.Accel != machine.KVM && strings.Contains(reason, "int3")
}

// finish takes a cell from those that are pending, and tells of it.
func (r *round) finish(i int) {
	r.pending = slices.DeleteFunc(r.pending, func(pending int) bool { return pending == i })
	cell := &r.cells[i]
	cell.Evidence = r.relative(r.cellDir(i))
	r.tell(Progress{
		Kernel: r.kernel.Name, Scenario: r.kernel.Cells[i].Scenario, Repetition: r.number,
		Done: true, Result: *cell, Differences: r.kernel.Cells[i].differences(cell),
	})
}

// makeDirs makes a directory for each pending cell.
func (r *round) makeDirs() error {
	for _, i := range r.pending {
		if err := os.MkdirAll(r.cellDir(i), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// cellDir is the evidence directory of a cell, such as
// 5.10/rdma_ext4_pageout_none, with the number of the repetition if there are
// several.
func (r *round) cellDir(i int) string {
	dir := filepath.Join(r.m.Dir, r.kernel.Name, strings.ReplaceAll(r.kernel.Cells[i].Scenario, "/", "_"))
	if r.m.Repeat > 1 {
		dir = filepath.Join(dir, fmt.Sprint(r.number))
	}
	return dir
}

func (r *round) relative(path string) string {
	rel, err := filepath.Rel(r.m.Dir, path)
	if err != nil {
		return path
	}
	return rel
}

// readFile is for files whose absence says no more than their emptiness.
func readFile(path string) []byte {
	content, _ := os.ReadFile(path)
	return content
}
