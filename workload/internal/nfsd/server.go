// Package nfsd serves one file to this machine's kernel by NFS: one whose reads it leaves unanswered
// until it is told to let them go, or one to write to. It serves it with go-nfs, NFSv3 over TCP of
// the loopback device, and mounts it where no mount table shows it.
package nfsd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	nfs "github.com/willscott/go-nfs"

	"umemstress/workload/internal/fault"
)

// Server serves the file.
type Server struct {
	listener *listener
	gate     *gate         // of a file whose reads wait
	served   chan struct{} // closed when nobody is served any more
}

// quiet has go-nfs write nothing to standard error: what fails, the client tells.
var quiet = sync.OnceFunc(func() { nfs.Log.SetLevel(nfs.PanicLevel) })

// Serve serves a file of so many bytes, whose reads wait.
func Serve(ctx context.Context, size int64) (*Server, error) {
	l, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return serveHeld(l, size), nil
}

func listen(ctx context.Context) (*net.TCPListener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Lacksf("listen on the loopback device: %w; it has to be up: ip link set lo up", err)
	}
	return l.(*net.TCPListener), nil
}

func serveHeld(l *net.TCPListener, size int64) *Server {
	g := newGate()
	s := serve(l, held{size, g}, maxReads)
	s.gate = g
	return s
}

// serve serves a file. So many calls are read in advance of each client.
func serve(l *net.TCPListener, c content, ahead int) *Server {
	quiet()
	s := &Server{listener: newListener(l, ahead), served: make(chan struct{})}
	go func() {
		defer close(s.served)
		_ = nfs.Serve(s.listener, handler{export{content: c}}) // ends with the listener
	}()
	return s
}

// Waiting is how many bytes those reads are to bring that have arrived. None is answered before
// LetGo.
func (s *Server) Waiting() int64 { return s.listener.asked.Load() }

// LetGo answers reads from here on. fill has the bytes at an offset of the file.
func (s *Server) LetGo(fill func(into []byte, at int64)) { s.gate.open(fill) }

// Fail answers reads with an error from here on, unless they were let go.
func (s *Server) Fail() {
	if s.gate != nil {
		s.gate.open(nil)
	}
}

// departure bounds how long a client may take to go away that has nothing mounted any more.
const departure = 10 * time.Second

// Close waits until the kernel has closed its connection, and ends the service.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.Fail()
	var late error
	if !s.listener.idle(departure) {
		late = fmt.Errorf("the kernel's NFS client is still connected %v after the mount was closed", departure)
	}
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	<-s.served
	return errors.Join(late, err)
}
