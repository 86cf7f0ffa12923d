package vmci

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// listener is a socket of AF_VSOCK that the context connects to. Who has a connection writes into
// the queue that the context consumes.
type listener struct {
	socket int
	port   uint32
}

// listen takes connections whose queues have so many bytes at most.
func listen(queueBytes int) (_ *listener, err error) {
	l := &listener{}
	if l.socket, err = unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return nil, fmt.Errorf("socket of AF_VSOCK: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(l.socket))
		}
	}()
	if err := unix.SetsockoptUint64(l.socket, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, uint64(queueBytes)); err != nil {
		return nil, fmt.Errorf("have queues of %d bytes: SO_VM_SOCKETS_BUFFER_MAX_SIZE: %w", queueBytes, err)
	}
	if err := unix.Bind(l.socket, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: unix.VMADDR_PORT_ANY}); err != nil {
		return nil, fmt.Errorf("bind a socket of AF_VSOCK: %w", err)
	}
	name, err := unix.Getsockname(l.socket)
	if err != nil {
		return nil, fmt.Errorf("the port of a socket of AF_VSOCK: %w", err)
	}
	l.port = name.(*unix.SockaddrVM).Port
	if err := unix.Listen(l.socket, 1); err != nil {
		return nil, fmt.Errorf("listen on a socket of AF_VSOCK: %w", err)
	}
	return l, nil
}

func (l *listener) Close() error {
	if l == nil {
		return nil
	}
	return unix.Close(l.socket)
}

// connect makes a connection through the queue pair and returns the listener's end of it. The
// kernel gives up a connection that it has waited for since a second, so that the queue pair
// is there by now.
func (l *listener) connect(ctx context.Context, d *device, h handle, queueBytes int) (socket int, err error) {
	port := h.Resource
	if err := d.send(packet{Type: packetRequest, FromPort: port, ToPort: l.port, Size: uint64(queueBytes)}); err != nil {
		return noSocket, fmt.Errorf("ask for a connection of AF_VSOCK: %w", err)
	}
	answer, err := d.receive(ctx, packetNegotiate, port)
	if err != nil {
		return noSocket, err
	}
	if answer.Size != uint64(queueBytes) {
		return noSocket, fmt.Errorf("the kernel wants queues of %d bytes for a connection of AF_VSOCK, not of %d", answer.Size, queueBytes)
	}
	if err := d.send(packet{Type: packetOffer, FromPort: port, ToPort: l.port, Size: h.number()}); err != nil {
		return noSocket, fmt.Errorf("offer a queue pair for a connection of AF_VSOCK: %w", err)
	}
	if _, err := d.receive(ctx, packetAttach, port); err != nil {
		return noSocket, err
	}
	return l.accept(ctx)
}

func (l *listener) accept(ctx context.Context) (socket int, err error) {
	for deadline := time.Now().Add(receiveBound); ; {
		err := file.Again(func() error {
			socket, _, err = unix.Accept4(l.socket, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err
		})
		switch {
		case err == nil:
			return socket, nil
		case !errors.Is(err, unix.EAGAIN), time.Now().After(deadline):
			return noSocket, fmt.Errorf("accept of AF_VSOCK: %w", err)
		}
		select {
		case <-ctx.Done():
			return noSocket, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// noSocket stands for none: 0 is somebody's.
const noSocket = -1

// pair is a queue pair with its connection.
type pair struct {
	handle handle
	socket int
	header []byte // of the queue that we produce into
	bytes  int    // of data in a queue
	at     int    // in the queue that we consume: where the next byte arrives
}

// send has the kernel write the bytes to where the last ones ended, and takes them from the
// queue at once: they stay in its pages. A queue is never full, so one byte of it stays free.
func (p *pair) send(data []byte) error {
	for len(data) > 0 {
		sent := 0
		err := file.Again(func() (err error) {
			sent, err = unix.Write(p.socket, data[:min(len(data), p.bytes-1)])
			return err
		})
		if err != nil {
			return fmt.Errorf("send %d bytes through a queue pair: %w", len(data), err)
		}
		data = data[sent:]
		p.at = (p.at + sent) % p.bytes
		storeConsumerHead(p.header, uint64(p.at))
	}
	return nil
}

// close ends the connection; the queue pair is the device's.
func (p *pair) close() error {
	if p.socket == noSocket {
		return nil
	}
	socket := p.socket
	p.socket = noSocket
	return unix.Close(socket)
}
