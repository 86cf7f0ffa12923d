package meeting

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	tokenBytes = 16
	tokenBound = 10 * time.Second // for who has connected to bring the token
)

// keepAlive notices within a minute that a host has died, which tells nobody.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// place is what is written down.
type place struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// Listener awaits the one that has the token.
type Listener struct {
	place    place
	listener net.Listener
}

// Listen listens on an address of this host; empty: on all of them, and its name is what is written down.
func Listen(address string) (*Listener, error) {
	name := address
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the other rank: %w; --address is for an address of this host", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	token := make([]byte, tokenBytes)
	_, _ = rand.Read(token) // never fails: it ends the program instead
	return &Listener{place{net.JoinHostPort(name, port), hex.EncodeToString(token)}, listener}, nil
}

// Close has nobody come any more.
func (l *Listener) Close() error {
	if err := l.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Text is what the other one is to know.
func (l *Listener) Text() ([]byte, error) { return json.Marshal(l.place) }

// Accept waits for who has the token, and then listens no more. Others are hung up on, and nobody keeps it waiting by
// saying nothing. It ends with the context, too, and says of what.
func (l *Listener) Accept(ctx context.Context) (*net.TCPConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those who are still to bring it bring it to nobody
	defer l.Close()
	came := make(chan *net.TCPConn)
	failed := make(chan error, 1)
	go func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				failed <- err
				return
			}
			go l.admit(ctx, conn.(*net.TCPConn), came)
		}
	}()
	select {
	case conn := <-came:
		return conn, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case err := <-failed:
		return nil, err
	}
}

// admit hands a connection on over which the token comes in time.
func (l *Listener) admit(ctx context.Context, conn *net.TCPConn, came chan<- *net.TCPConn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	_ = conn.SetReadDeadline(time.Now().Add(tokenBound)) // without one, only this connection stays
	brought := make([]byte, len(l.place.Token))
	_, err := io.ReadFull(conn, brought)
	if !stop() || err != nil || subtle.ConstantTimeCompare(brought, []byte(l.place.Token)) != 1 || conn.SetReadDeadline(time.Time{}) != nil {
		_ = conn.Close()
		return
	}
	select {
	case came <- conn:
	case <-ctx.Done():
		_ = conn.Close()
	}
}
