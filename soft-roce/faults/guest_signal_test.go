//go:build guest

package faults

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload"
	"umemstress/workload/evidence"

	"github.com/sirupsen/logrus"
)

var onlyShot = flag.Int("faults.shot", -1, "send the one signal of this number alone")

// Bounds, of an emulated guest beside another one.
const (
	patience  = 90 * time.Second // for a run to its end
	cleanup   = 10 * time.Second // for what a killed run leaves to others to take away
	interrupt = 20 * time.Second // from a signal that asks for the end to the end
)

var signals = []unix.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGSTOP}

// shot is one signal to one run. All of it follows from the seed and its number, but for how
// long the phases are, which is measured.
type shot struct {
	number int
	signal unix.Signal
	*target
	random *rand.Rand
	moment time.Duration // after the start
	phase  string        // in which the run was
}

// newShot takes the scenarios in turn, so that each signal meets all of them. It is nil where the
// scenario is another guest's: that one measures it, and no other need.
func newShot(number int, among []*target) *shot {
	turn, signal := number/len(signals), number%len(signals)
	of := (turn + signal) % len(among)
	if of%*parts != *part-1 || *onlyShot >= 0 && *onlyShot != number {
		return nil
	}
	return &shot{
		number: number, signal: signals[signal], target: among[of],
		random: rand.New(rand.NewPCG(*seed, uint64(number))),
	}
}

func (s *shot) String() string {
	return fmt.Sprintf("-faults.seed %d -faults.each %d -faults.shot %d: %s, %s after %s of about %s, in %s",
		*seed, *each, s.number, s.scenario, unix.SignalName(s.signal), s.moment.Round(time.Millisecond), s.length.Round(time.Millisecond), s.phase)
}

// letMuchBeDirty keeps writers going beside what runs have lost: a page that ext4 drops stays
// counted as dirty until the next boot, and where they are as many as the kernel lets be dirty, a
// fifth of the memory that is free or files', writers crawl or stand still. A run loses 2 MiB.
func letMuchBeDirty(t *testing.T) {
	t.Helper()
	const ratio = "/proc/sys/vm/dirty_ratio" // percent
	before, err := os.ReadFile(ratio)
	if err == nil {
		err = os.WriteFile(ratio, []byte("100"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(ratio, before, 0); err != nil {
			t.Error(err)
		}
	})
}

// A run that gets a signal at any moment ends soon and rightly, leaves nothing on the
// machine and evidence that can be judged; and the next run works.
func TestSignals(t *testing.T) {
	letMuchBeDirty(t)
	n := shortSpread
	if *each > few {
		n = len(spread)
	}
	among := targets(t, n)
	for i, signal := range signals {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			sum := newTally()
			var last *shot
			before := look(t)
			for k := range *each {
				s := newShot(k*len(signals)+i, among)
				if s == nil {
					continue
				}
				if last = s; !s.fire(t, before, sum) {
					before = look(t) // so that nothing is told twice
				}
			}
			if last != nil {
				last.undisturbed(t)
				fmt.Printf("%s: %s\n", unix.SignalName(signal), sum)
			}
		})
	}
}

// look looks at what there is while a test is under way, which has a directory then.
func look(t *testing.T) leaktest.State {
	t.Helper()
	t.TempDir()
	before, err := leaktest.Look()
	if err != nil {
		t.Fatal(err)
	}
	return before
}

// fire sends the signal, and says whether nothing was left.
func (s *shot) fire(t *testing.T, before leaktest.State, sum *tally) (clean bool) {
	t.Helper()
	if s.length == 0 {
		s.undisturbed(t)
	}
	dir := t.TempDir()
	var p *process
	for hit := false; !hit; {
		// A run that ends before its moment is an undisturbed one.
		if p != nil {
			if <-p.done; !s.verdictHeld(p) {
				t.Errorf("%s: it ended before the signal, and not in %s: %s", s, s.verdict, p)
				return false
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "evidence")); err != nil {
			t.Fatal(err)
		}
		phase, after := s.choose(s.random)
		p = start(t, nil, s.command(t, dir)...)
		hit = p.reach(phase, after) && p.cmd.Process.Signal(s.signal) == nil
	}
	sent := time.Now()
	s.moment = sent.Sub(p.started)
	limit := interrupt
	if s.signal == unix.SIGSTOP {
		limit = patience
		time.Sleep(time.Duration(s.random.IntN(500)) * time.Millisecond)
		// A run that was about to exit when it was stopped is gone.
		if err := p.cmd.Process.Signal(unix.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	inTime := p.ended(limit)
	end := time.Since(sent)
	s.phase = p.stderr.at(s.moment)
	if !inTime {
		t.Errorf("%s: it was not at its end %s later: %s", s, limit, p)
	} else if wrong := s.wrong(p); wrong != "" {
		t.Errorf("%s: %s: %s", s, wrong, p)
	}
	ended := time.Now()
	left, err := before.Leaks(cleanup)
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range left {
		t.Errorf("%s: %s", s, leak)
	}
	sum.add(s, end, time.Since(ended), len(left))
	s.judge(t, filepath.Join(dir, "evidence"))
	return len(left) == 0
}

// wrong says what is wrong with how the run ended; empty: nothing.
func (s *shot) wrong(p *process) string {
	if found := crash(p.stderr.String()); found != "" {
		return "it died of itself"
	}
	const interrupted = 130
	switch {
	case s.signal == unix.SIGKILL:
		if p.killedBy() != unix.SIGKILL && !s.verdictHeld(p) {
			return "it was not killed"
		}
	case s.verdictHeld(p): // it came to its end all the same
	case s.signal == unix.SIGSTOP:
		return fmt.Sprintf("it did not end in %s when it went on", s.verdict)
	case p.killedBy() == s.signal && p.stderr.String() == "": // before the program itself ran
	case p.code() != interrupted:
		return "it did not end as interrupted"
	default:
		return wrongSentence(p.stderr.String())
	}
	return ""
}

// judge holds the evidence to what is promised: run.json is whole, or not there yet.
func (s *shot) judge(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, evidence.RunFile)); errors.Is(err, fs.ErrNotExist) {
		return
	}
	quiet := logrus.New()
	quiet.SetLevel(logrus.ErrorLevel)
	if _, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, quiet); err != nil {
		t.Errorf("%s: its evidence: %v", s, err)
	}
}

// tally are the figures of a signal.
type tally struct {
	shots, leaks int
	scenarios    map[string]int
	phases       map[string]int
	end, clean   time.Duration // the longest
}

func newTally() *tally { return &tally{scenarios: map[string]int{}, phases: map[string]int{}} }

func (m *tally) add(s *shot, end, clean time.Duration, leaks int) {
	m.shots++
	m.leaks += leaks
	m.scenarios[s.scenario]++
	m.phases[s.phase]++
	m.end, m.clean = max(m.end, end), max(m.clean, clean)
}

func (m *tally) String() string {
	var in []string
	for _, phase := range slices.Sorted(maps.Keys(m.phases)) {
		in = append(in, fmt.Sprintf("%s %d", phase, m.phases[phase]))
	}
	return fmt.Sprintf("%d runs of %d scenarios, %d leaks; ended within %s, all gone %s later at most; in phase %s",
		m.shots, len(m.scenarios), m.leaks, m.end.Round(time.Millisecond), m.clean.Round(time.Millisecond), strings.Join(in, ", "))
}
