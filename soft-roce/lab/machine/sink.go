package machine

import (
	"io"
	"os"
	"sync"
)

// Sink passes on what comes out of a port, and counts it.
type Sink struct {
	src  *os.File
	dst  io.Writer
	done chan struct{} // closed at the end of src

	mu    sync.Mutex
	moved *sync.Cond
	n     int64
	ended bool
	err   error // of dst; src is read to its end regardless
}

// NewSink makes a sink, which does nothing until Drain is called.
func NewSink(src *os.File, dst io.Writer) *Sink {
	s := &Sink{src: src, dst: dst, done: make(chan struct{})}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// Drain passes on what comes, until the port is closed.
func (s *Sink) Drain() {
	defer close(s.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.src.Read(buf)
		var werr error
		if n > 0 {
			_, werr = s.dst.Write(buf[:n])
		}
		s.mu.Lock()
		s.n += int64(n)
		if s.err == nil {
			s.err = werr
		}
		s.ended = err != nil
		ended := s.ended
		s.mu.Unlock()
		s.moved.Broadcast()
		if ended {
			return
		}
	}
}

// WaitFor waits until n bytes have been passed on. It returns false if the port
// was closed before that.
func (s *Sink) WaitFor(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.n < n && !s.ended {
		s.moved.Wait()
	}
	return s.n >= n
}

// Wait waits for the end of what comes out of the port, and returns why it could not
// be passed on.
func (s *Sink) Wait() error {
	<-s.done
	return s.err
}

// Close closes the port.
func (s *Sink) Close() { s.src.Close() }
