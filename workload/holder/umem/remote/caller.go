package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"umemstress/workload/evidence"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/fault"
)

// RunRequest has the peer do the run itself: the file's region is there. From then on it is the peer that
// asks, and who has started it that answers.
type RunRequest struct {
	Host  string   `json:"host"`  // that the request comes from
	Flags []string `json:"flags"` // of umemstress run, without those of this side alone
}

// told is a line of a peer that does a run. One with nothing in it says that it is still there.
type told struct {
	Ask  json.RawMessage `json:"ask,omitempty"` // a request, which is answered by a reply
	Part *evidence.Part  `json:"part,omitempty"`
	Log  *logLine        `json:"log,omitempty"`
	Over *over           `json:"over,omitempty"` // of the last line, which is answered by kept
}

// logLine is what a person may want to know meanwhile.
type logLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// over is how the run has ended. Its verdict is in the evidence.
type over struct {
	Error *failure `json:"error,omitempty"`
}

// kept is the line which says that all of the evidence is on disk where the run was started.
const kept = `{"kept":true}`

// interrupt is the line which has the run end before its time. Then it tells how, as otherwise.
const interrupt = `{"interrupt":true}`

const (
	aliveEvery = 5 * time.Second  // how often a run says something
	keptBound  = 30 * time.Second // how long its last words may be on their way
)

// Caller is who has started this peer and has it do a run. What it is told comes from several
// goroutines.
type Caller struct {
	host    string
	line    context.Context // which ends when it hangs up
	hangUp  context.CancelCauseFunc
	stop    context.CancelCauseFunc // of what is done for it
	mu      sync.Mutex              // guards w
	w       io.Writer
	replies *io.PipeReader
	heard   *io.PipeWriter
	asked   atomic.Int32  // requests that are not answered
	kept    chan struct{} // closed when it has all of the evidence
	silent  chan struct{} // closed when it has hung up, and nothing that came before is still to be heard

	once  sync.Once
	ended bool // it has heard how the run has ended, and has all
}

// run does the run that the other side asks for, whose further lines are answers.
func (c *Caller) run(ctx context.Context, r RunRequest, do func(context.Context, RunRequest, *Caller) error, lines <-chan []byte) error {
	c.replies, c.heard = io.Pipe()
	c.kept, c.silent = make(chan struct{}), make(chan struct{})
	context.AfterFunc(c.line, func() { _ = c.replies.Close() }) // so that no answer waits for who does not ask
	var beside sync.WaitGroup
	beside.Go(func() { c.hear(lines) })
	beside.Go(c.stayAlive)
	defer func() {
		c.hangUp(errHungUp)
		beside.Wait()
	}()
	err := fault.Lacksf("this peer does no run of its own; give --peer a command that starts umemstress peer")
	if do != nil {
		err = do(ctx, r, c)
	}
	switch {
	case c.End(err): // who asked for it tells
		return nil
	case c.line.Err() != nil:
		return why(c.line)
	}
	return err
}

// hear has answers go to who has asked, until the other side hangs up.
func (c *Caller) hear(lines <-chan []byte) {
	defer close(c.silent)
	isKept := false
	for {
		select {
		case <-c.line.Done():
			_ = c.heard.Close()
			return
		case line := <-lines:
			switch string(bytes.TrimSpace(line)) {
			case interrupt:
				c.stop(context.Canceled)
			case kept:
				if !isKept {
					close(c.kept)
				}
				isKept = true
			default:
				if c.asked.Add(-1) < 0 { // which would wait for ever for who asked, and the end of the line with it
					c.hangUp(noRequest(line, errOrder))
					continue
				}
				_, _ = c.heard.Write(line) // nobody waits for it any more: that was said
			}
		}
	}
}

func (c *Caller) stayAlive() {
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.line.Done():
			return
		case <-ticker.C:
			_ = c.tell(told{})
		}
	}
}

// tell tells the other side. Where that hears no more, the run ends.
func (c *Caller) tell(what told) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := writeLine(c.w, what)
	if err != nil {
		err = fmt.Errorf("tell the run on %s: %w", c.host, err)
		c.hangUp(err)
	}
	return err
}

// Host is where it is.
func (c *Caller) Host() string { return c.host }

// Keep hands over a part of the evidence.
func (c *Caller) Keep(p evidence.Part) error { return c.tell(told{Part: &p}) }

// Log tells what a person may want to know, at a level of logrus.
func (c *Caller) Log(level, text string) { _ = c.tell(told{Log: &logLine{Level: level, Text: text}}) }

// End says how the run has ended, once, and whether the other side has heard it and keeps the evidence.
func (c *Caller) End(err error) bool {
	c.once.Do(func() {
		if c.tell(told{Over: &over{Error: newFailure(err)}}) != nil {
			return
		}
		bound := time.NewTimer(keptBound)
		defer bound.Stop()
		select {
		case <-c.kept:
		case <-c.silent:
		case <-bound.C:
		}
		select {
		case <-c.kept: // who hangs up does so at once then
			c.ended = true
		default:
		}
	})
	return c.ended
}

// asking is where requests to the other side go.
type asking struct{ *Caller }

func (a asking) Write(line []byte) (int, error) {
	a.asked.Add(1)
	return len(line), a.tell(told{Ask: bytes.TrimSpace(line)})
}

func (asking) Close() error { return nil }

// Open has the other side open its device, as the end that the bytes come from.
func (c *Caller) Open(ctx context.Context, config end.Config) (*End, error) {
	p := &End{line: line{asks: asking{c}, tells: c.replies, answers: newLines(c.replies), caller: true, host: c.host}}
	return p.openDevice(ctx, config)
}
