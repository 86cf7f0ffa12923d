package proto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Kinds of event.
const (
	EventReady  = "ready"  // the program is about to start
	EventExited = "exited" // the program ended
	EventFailed = "failed" // the program could not be started
)

// Event is what init tells the host.
type Event struct {
	Kind   string
	Error  string `json:",omitempty"`
	Code   int    `json:",omitempty"` // exit code; 128+n for signal n
	Stdout int64  `json:",omitempty"` // bytes sent on the port
	Stderr int64  `json:",omitempty"`
}

// check refuses what init does not send. Whatever runs as root in the guest can write
// to the port, too.
func (ev Event) check() error {
	switch {
	case ev.Kind != EventReady && ev.Kind != EventExited && ev.Kind != EventFailed:
		return fmt.Errorf("unknown kind %q", ev.Kind)
	case ev.Code < 0 || ev.Code > 255:
		return fmt.Errorf("exit code %d", ev.Code)
	case ev.Stdout < 0 || ev.Stderr < 0:
		return fmt.Errorf("%d and %d bytes of output", ev.Stdout, ev.Stderr)
	}
	return nil
}

// Kinds of order.
const (
	OrderInputEnd = "input-end" // no more input comes
	OrderResize   = "resize"    // the host's terminal has another size
)

// Order is what the host tells init.
type Order struct {
	Kind  string
	Input int64 `json:",omitempty"` // bytes sent on the port, all in all
	Size  Size
}

func (o Order) check() error {
	if o.Kind != OrderInputEnd && o.Kind != OrderResize || o.Input < 0 {
		return fmt.Errorf("unknown order %q", o.Kind)
	}
	return nil
}

const (
	maxLine  = 64 << 10 // what the host keeps of a line
	maxError = 8 << 10  // which JSON makes six times as long, at worst
)

// EventStream sends and receives events and orders, one JSON object per line.
type EventStream struct {
	mu sync.Mutex // orders come from several goroutines
	w  io.Writer
	r  *bufio.Reader
}

// NewEventStream makes the stream of a control port's end.
func NewEventStream(rw io.ReadWriter) *EventStream {
	return &EventStream{w: rw, r: bufio.NewReaderSize(rw, maxLine)}
}

// Send writes an event.
func (s *EventStream) Send(ev Event) error {
	ev.Error = ev.Error[:min(len(ev.Error), maxError)]
	return s.send(ev)
}

// SendOrder writes an order.
func (s *EventStream) SendOrder(o Order) error { return s.send(o) }

func (s *EventStream) send(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.w.Write(append(line, '\n'))
	return err
}

// Receive reads the next event. The error is io.EOF when the port was closed, be it
// in the midst of a line; with any other error the port is of no more use.
func (s *EventStream) Receive() (ev Event, err error) {
	err = s.receive(&ev, func() error { return ev.check() })
	return ev, err
}

// ReceiveOrder reads the next order, with errors as those of Receive.
func (s *EventStream) ReceiveOrder() (o Order, err error) {
	err = s.receive(&o, func() error { return o.check() })
	return o, err
}

func (s *EventStream) receive(message any, check func() error) error {
	line, err := s.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("control port: more than %d bytes without an end of line", maxLine)
	case err != nil:
		return err
	}
	if err := json.Unmarshal(line, message); err != nil {
		return fmt.Errorf("control port: %q: %w", shorten(line), err)
	}
	if err := check(); err != nil {
		return fmt.Errorf("control port: %q: %w", shorten(line), err)
	}
	return nil
}

// shorten makes a line fit into an error message.
func shorten(line []byte) []byte {
	line = bytes.TrimSpace(line)
	return line[:min(len(line), 200)]
}
