package witness

import "errors"

// Pending is an Observer that may still be on its way.
type Pending struct {
	done     chan struct{}
	observer Observer
	err      error // why there is none
}

var errSwitchedOff = errors.New("switched off")

// AttachSoon begins to attach the probes, which takes as long as all that is left of the
// prepare phase. Without attach they are switched off.
func AttachSoon(attach func() (Observer, error)) *Pending {
	p := &Pending{done: make(chan struct{}), err: errSwitchedOff}
	if attach == nil {
		close(p.done)
		return p
	}
	go func() {
		defer close(p.done)
		p.observer, p.err = attach()
	}()
	return p
}

// wait returns the observer once it is attached.
func (p *Pending) wait() (Observer, error) {
	<-p.done
	return p.observer, p.err
}

// Close detaches, also what was attached after the run had given up on it. It may
// be called again.
func (p *Pending) Close() error {
	if p == nil {
		return nil
	}
	if observer, _ := p.wait(); observer != nil {
		return observer.Close()
	}
	return nil
}
