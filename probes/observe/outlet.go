package observe

import (
	"errors"
	"sync/atomic"
	"time"
)

const (
	// maxUnwritten is how many lines wait for who reads them.
	maxUnwritten = 4096
	// spare is room for lines that are no events: what was lost, and the sums at the end.
	spare = 4
	// rest is how often Config.Idle is called.
	rest = 200 * time.Millisecond
	// patience is how long a line may take to be written, once the observation has ended.
	patience = 500 * time.Millisecond
)

// ErrNotWritten is wrapped by errors of [Config.Write] of a line that is lost, though the next one
// may not be.
var ErrNotWritten = errors.New("the line is not written")

// ErrUnread is wrapped by the error of an observation whose last lines nobody read, or whose disk
// hangs. Config.Write may still be at work.
var ErrUnread = errors.New("the output is stuck, as of a pipe that nobody reads")

// An outlet has lines written by a goroutine of its own, so that who reads them slowly, or not at
// all, keeps nobody else from going on. All but run is for one other goroutine.
type outlet struct {
	write func(Line) error
	idle  func() error

	lines   chan Line
	stalled bool   // until half of what waits is written
	refused uint64 // events that there was no room for

	written atomic.Uint64 // events
	lost    atomic.Uint64 // events that Config.Write could not write
	failed  atomic.Uint64 // lines of any kind that it could not
	left    atomic.Bool   // nobody waits for it any more
	ended   chan struct{}
	err     error // of the write that ended it; to be read then
}

func newOutlet(write func(Line) error, idle func() error) *outlet {
	o := &outlet{write: write, idle: idle, lines: make(chan Line, maxUnwritten+spare), ended: make(chan struct{})}
	go o.run()
	return o
}

// run writes lines until there are no more, or one fails for good.
func (o *outlet) run() {
	defer close(o.ended)
	var resting <-chan time.Time
	if o.idle != nil {
		ticker := time.NewTicker(rest)
		defer ticker.Stop()
		resting = ticker.C
	}
	for !o.left.Load() {
		select {
		case l, open := <-o.lines:
			if !open {
				return
			}
			err := o.write(l)
			switch {
			case err == nil:
				o.count(l, &o.written)
				continue
			case errors.Is(err, ErrNotWritten):
				o.count(l, &o.lost)
				o.failed.Add(1)
				continue
			}
			o.err = err
			return
		case <-resting:
			if o.err = o.idle(); o.err != nil {
				return
			}
		}
	}
}

func (o *outlet) count(l Line, as *atomic.Uint64) {
	if l.IsEvent() {
		as.Add(1)
	}
}

// takes says whether there is room for a line. Once there was none, there is none until half of
// those that wait are written: what is missing is missing in one place.
func (o *outlet) takes() bool {
	switch n := len(o.lines); {
	case n >= maxUnwritten:
		o.stalled = true
	case n <= maxUnwritten/2:
		o.stalled = false
	}
	return !o.stalled
}

// unread is how many events have not been told for good.
func (o *outlet) unread() uint64 { return o.refused + o.lost.Load() }

// progress is whether lines are being written.
type progress struct {
	of   *outlet
	seen uint64
	at   time.Time // when that was so last
}

// stopped says whether lines have waited for longer than one may take.
func (p *progress) stopped() bool {
	if seen := p.of.written.Load() + p.of.failed.Load(); seen != p.seen || len(p.of.lines) == 0 {
		p.seen, p.at = seen, time.Now()
	}
	return time.Since(p.at) > patience
}

// end waits until all lines are written, for as long as some are. It returns the error that ended
// the writing, or ErrUnread.
func (o *outlet) end() error {
	close(o.lines)
	for before := len(o.lines); ; {
		select {
		case <-o.ended:
			return o.err
		case <-time.After(patience):
		}
		now := len(o.lines)
		if now == before {
			o.left.Store(true)
			return ErrUnread
		}
		before = now
	}
}
