package observing

import (
	"io"

	"github.com/sirupsen/logrus"

	"umemstress/probes/journal"
	"umemstress/probes/observe"
)

// A keeper keeps the journal for as long as its disk can. Who observes goes on without it, and
// fails in the end. nil keeps none.
type keeper struct {
	journal *journal.Journal
	failed  error
}

func openKeeper(dir string) (*keeper, error) {
	j, err := journal.Create(dir)
	if err != nil {
		return nil, err
	}
	return &keeper{journal: j}, nil
}

func (k *keeper) tell(l observe.Line) {
	if k != nil && k.failed == nil {
		k.lose(k.journal.Tell(l))
	}
}

func (k *keeper) count(s observe.Summary) {
	if k != nil && k.failed == nil {
		k.lose(k.journal.Count(s))
	}
}

func (k *keeper) lose(err error) {
	if err != nil {
		k.failed = err
		logrus.Warnf("%v; what happens from now on is not in it", err)
	}
}

func (k *keeper) close() error {
	err := k.journal.Close()
	if k.failed != nil {
		return k.failed
	}
	return err
}

// readJournal tells what an observer has left.
func (f *flags) readJournal(out io.Writer) error {
	write := lineWriter(out, f.format)
	var summary observe.Summary
	r, err := journal.Read(f.read, func(l observe.Line) error {
		if l.Event == observe.Ended {
			summary = *l.Summary
		}
		if !f.stack {
			l.Stack = nil
		}
		return write(l)
	})
	if err != nil {
		return err
	}
	if r.Cut || r.Holes > 0 {
		logrus.Warnf("the machine died while the journal was written: the last line is cut off: %v, lines lost: %d", r.Cut, r.Holes)
	}
	if f.failOnHit {
		return f.status(summary.Hit())
	}
	return nil
}
