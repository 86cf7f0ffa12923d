package nfsd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

// GuardChild is the name of the child that GuardMain is.
const GuardChild = "nfs-guard"

// guard serves on when this process is killed. Its reads are in flight then, and the kernel's
// client asks for their answers for ever: it takes no process of ours for that. Who is behind the
// port by then, answers each of them with an error, and the pages are let go unwritten.
type guard struct{ janitor *child.Janitor }

// guardScript becomes the child, descriptor 3, unless the mount was closed, which $told tells.
var guardScript = `[ "$told" = ` + unmounted + ` ] || { ` + child.Script(GuardChild, "") + `; }`

const unmounted = "unmounted"

// guardSocket is the descriptor of the listening socket in the child.
const guardSocket = 4

func startGuard(s *Server) (guard, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return guard{}, err
	}
	defer self.Close() // the shell has its own
	socket, err := s.listener.TCPListener.File()
	if err != nil {
		return guard{}, err
	}
	defer socket.Close()
	j, err := child.StartJanitor([]*os.File{self, socket}, guardScript)
	if err != nil {
		return guard{}, err
	}
	// To be handed over, the socket was made a blocking one, in which Accept would not end.
	return guard{j}, unix.SetNonblock(int(socket.Fd()), true)
}

// Close ends the guard of a mount that is closed.
func (g guard) Close() error {
	if g.janitor == nil {
		return nil
	}
	return errors.Join(g.janitor.Tell(unmounted), g.janitor.Close())
}

// GuardMain answers reads with errors until the client of a killed process is gone.
func GuardMain(args []string, _ io.Reader, _ io.Writer) error {
	if len(args) != 0 {
		return fmt.Errorf("%s takes no arguments, not %d", GuardChild, len(args))
	}
	signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	l, err := inherited(guardSocket)
	if err != nil {
		return err
	}
	s := serveHeld(l, 0)
	s.Fail()
	s.listener.await(comeback, func(_ int, seen bool) bool { return seen })
	s.listener.outlast()
	return s.Close()
}

// inherited is the listening socket of that descriptor.
func inherited(descriptor uintptr) (*net.TCPListener, error) {
	f := os.NewFile(descriptor, "socket")
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

const (
	// comeback is how long the client of a process that is dead may take to come back, if it has reads in
	// flight: it connects no sooner than 3 s after it did so last (XS_TCP_INIT_REEST_TO,
	// net/sunrpc/xprtsock.c).
	comeback = 6 * time.Second
	linger   = 20 * time.Second       // with one that is there
	rest     = 500 * time.Millisecond // without one, and none is there any more
)

// outlast waits until nobody comes back any more.
func (l *listener) outlast() {
	for l.idle(linger) && l.await(rest, func(clients int, _ bool) bool { return clients > 0 }) {
	}
}
