package nfsd

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener accepts the kernel's connections, and counts what they ask to be read.
type listener struct {
	*net.TCPListener
	ahead int          // calls of a client that are read before they are answered
	asked atomic.Int64 // bytes that READs ask for which have arrived

	mu      sync.Mutex
	clients int           // connected
	seen    bool          // there was one
	changed chan struct{} // closed when one goes or comes, and made anew
}

func newListener(l *net.TCPListener, ahead int) *listener {
	return &listener{TCPListener: l, ahead: ahead, changed: make(chan struct{})}
}

// firstUnreserved is the lowest port that takes no privilege.
const firstUnreserved = 1024

// Accept takes connections of the kernel alone, which come from a reserved port: any user of the
// machine could make others.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if c.RemoteAddr().(*net.TCPAddr).Port >= firstUnreserved {
			c.Close()
			continue
		}
		l.count(1)
		return newConnection(c, l), nil
	}
}

func (l *listener) count(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients += more
	l.seen = true
	close(l.changed)
	l.changed = make(chan struct{})
}

// state is how many clients there are, whether there were any, and what is closed when that changes.
func (l *listener) state() (clients int, seen bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients, l.seen, l.changed
}

// idle waits until nobody is connected, and says whether that came within the time.
func (l *listener) idle(within time.Duration) bool {
	return l.await(within, func(clients int, _ bool) bool { return clients == 0 })
}

// await waits until something is so, and says whether that came within the time.
func (l *listener) await(within time.Duration, so func(clients int, seen bool) bool) bool {
	late := time.After(within)
	for {
		clients, seen, changed := l.state()
		if so(clients, seen) {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}
