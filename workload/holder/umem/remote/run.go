package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"umemstress/workload/evidence"
)

// Keeper is who wants to have what comes of a run on another host.
type Keeper interface {
	Keep(evidence.Part) error // on disk
	Log(host, level, text string)
}

// Outcome is how far a run on another host came.
type Outcome struct {
	Host string // empty: no peer began
	Over bool   // it ended in order, and all of its evidence is here
}

// interruptedBound is how long the other host may take to undo what a run did that is interrupted.
const interruptedBound = time.Minute

// Do starts the peer by a command, as a shell understands it, and has it do the run: the file's region is
// there, and the end that the bytes come from is this side's own. An error is the run's, or of a host that
// is gone.
func Do(ctx context.Context, command string, r RunRequest, own Config, k Keeper) (o Outcome, err error) {
	if r.Host, err = os.Hostname(); err != nil {
		return o, err
	}
	l := &line{command: exec.Command("sh", "-c", command)}
	defer func() { err = errors.Join(err, l.close()) }()
	err = l.begin(ctx, func(cmd *exec.Cmd) (func() error, error) {
		cmd.WaitDelay = endBound
		return cmd.Wait, cmd.Start()
	})
	if err != nil {
		return o, err
	}
	o.Host = l.host
	if err := writeLine(l.asks, request{Run: &r}); err != nil {
		return o, l.gone(err)
	}
	d := &doing{line: l, server: &server{config: own}, keeper: k, asks: make(chan request, 1)}
	o.Over, err = d.do(ctx)
	return o, err
}

// doing is a run on another host, as this one sees it.
type doing struct {
	line   *line
	server *server
	keeper Keeper
	asks   chan request // of the peer, at most one at a time
}

// do hears what the peer says until its run is over, and answers what it asks meanwhile.
func (d *doing) do(ctx context.Context) (over bool, err error) {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the peer has stopped asking
	var answering sync.WaitGroup
	answering.Go(func() { d.answer(serving) })
	ended := make(chan struct{})
	defer func() {
		close(ended)
		stop()
		_ = d.line.asks.Close() // an answer may wait for a peer that does not hear it
		answering.Wait()
		err = errors.Join(err, d.server.close())
	}()
	heard := make(chan spoken)
	go d.listen(heard, ended)
	silence := time.NewTimer(answerBound)
	defer silence.Stop()
	interrupted := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case said := <-heard:
			silence.Reset(answerBound)
			if said.err != nil {
				return false, unlessInterrupted(ctx, d.lost(said))
			}
			if over, err := d.take(said.line); over || err != nil {
				return over, unlessInterrupted(ctx, err)
			}
		case <-interrupted:
			go func() { _, _ = d.line.asks.Write([]byte(interrupt + "\n")) }()
			interrupted, late = nil, time.After(interruptedBound)
		case <-late:
			d.line.broken = fmt.Errorf("%s has not ended its run for %v", d.line.name(), interruptedBound)
			return false, errors.Join(ctx.Err(), d.line.broken)
		case <-silence.C:
			d.line.broken = fmt.Errorf("%s has said nothing for %v: has it died, is it stopped, or its network?", d.line.name(), answerBound)
			return false, errors.Join(ctx.Err(), d.line.broken)
		}
	}
}

// unlessInterrupted is the error of a run that nobody has interrupted, which is why others end.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// spoken is a line of the peer's, or why there is none.
type spoken struct {
	line []byte
	err  error
}

// listen reads what the peer says, which goes on after an interruption: it tells how it has ended.
func (d *doing) listen(heard chan<- spoken, ended <-chan struct{}) {
	for {
		line, err := readLine(d.line.answers)
		select {
		case heard <- spoken{line, err}:
		case <-ended:
			return
		}
		if err != nil {
			return
		}
	}
}

// lost is of a peer that says nothing more.
func (d *doing) lost(s spoken) error {
	if errors.Is(s.err, errTooLong) {
		return d.line.garbled(fmt.Sprintf("%.80q and more", s.line))
	}
	return d.line.gone(s.err)
}

// take takes a line of the peer's.
func (d *doing) take(line []byte) (over bool, err error) {
	var said told
	if err := json.Unmarshal(line, &said); err != nil {
		return false, d.line.garbled(fmt.Sprintf("%.80q", line))
	}
	switch {
	case said.Part != nil:
		if err := d.keeper.Keep(*said.Part); err != nil {
			d.line.broken = err // it is to stop
			return false, err
		}
	case said.Log != nil:
		d.keeper.Log(d.line.host, said.Log.Level, shown(said.Log.Text))
	case said.Ask != nil:
		return false, d.asked(said.Ask)
	case said.Over != nil:
		_, _ = d.line.asks.Write([]byte(kept + "\n")) // or it keeps its own
		if said.Over.Error != nil {
			return true, d.line.failed(said.Over.Error)
		}
		return true, nil
	}
	return false, nil
}

// asked has a request answered.
func (d *doing) asked(raw []byte) error {
	var r request
	if err := json.Unmarshal(raw, &r); err != nil {
		return d.line.garbled(fmt.Sprintf("%.80q", raw))
	}
	select {
	case d.asks <- r:
		return nil
	default: // the one before has no answer yet
		return d.line.garbled("a request before the last one was answered")
	}
}

// answer answers requests, as this side's end.
func (d *doing) answer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-d.asks:
			answer, err := d.server.serve(ctx, r)
			answer.Error = newFailure(err)
			if writeLine(d.line.asks, answer) != nil {
				return // it is gone, as its silence tells
			}
		}
	}
}
