package nfsd

import (
	"sync"

	"golang.org/x/sys/unix"
)

// gate has reads wait until it is opened.
type gate struct {
	once   sync.Once
	opened chan struct{}
	fill   func(into []byte, at int64) // set before opened is closed; nil: reads fail
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

// open lets every read go. Only the first call does anything.
func (g *gate) open(fill func(into []byte, at int64)) {
	g.once.Do(func() {
		g.fill = fill
		close(g.opened)
	})
}

// ReadAt waits, and brings the bytes.
func (g *gate) ReadAt(into []byte, at int64) (int, error) {
	<-g.opened
	if g.fill == nil {
		return 0, unix.EIO
	}
	g.fill(into, at)
	return len(into), nil
}
