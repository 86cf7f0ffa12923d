package block

import (
	"errors"
	"fmt"
	"sync"
)

// pair is how many guards a device has. One may be killed before this process is, and one may be
// started by the thread that is the last to end, and that waits for the device to be resumed.
const pair = 2

// guards resume a device when this process is killed. Each has a successor when somebody kills it.
type guards struct {
	name    string
	closing chan struct{}
	ended   sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

func startGuards(name string) (*guards, error) {
	g := &guards{name: name, closing: make(chan struct{})}
	for range pair {
		first, err := startGuard(name)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.ended.Go(func() { g.succeed(first) })
	}
	return g, nil
}

// succeed has a successor for each guard that is killed, until the guards are closed.
func (g *guards) succeed(current *guard) {
	for {
		ended := make(chan error, 1)
		go func() { ended <- current.wait() }()
		select {
		case <-g.closing:
			g.failed(current.Close())
			return
		case <-ended:
		}
		current.stdin.Close()
		next, err := startGuard(g.name)
		if err != nil {
			g.failed(fmt.Errorf("nothing resumes the device of a run that is killed: %w", err))
			return
		}
		current = next
	}
}

func (g *guards) failed(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errs = append(g.errs, err)
}

// Close ends the guards, which then resume nothing.
func (g *guards) Close() error {
	close(g.closing)
	g.ended.Wait()
	return errors.Join(g.errs...)
}
