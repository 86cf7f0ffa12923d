package proto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

const (
	maxLine  = 64 << 10 // what the host keeps of a line
	maxError = 8 << 10  // which JSON makes six times as long, at worst
)

// EventStream sends and receives events, one JSON object per line.
type EventStream struct {
	w io.Writer
	r *bufio.Reader
}

// NewEventStream makes the stream of a control port's end.
func NewEventStream(rw io.ReadWriter) *EventStream {
	return &EventStream{rw, bufio.NewReaderSize(rw, maxLine)}
}

// Send writes an event.
func (s *EventStream) Send(ev Event) error {
	ev.Error = ev.Error[:min(len(ev.Error), maxError)]
	line, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	_, err = s.w.Write(append(line, '\n'))
	return err
}

// Receive reads the next event. The error is io.EOF when the port was closed, be it
// in the midst of a line; with any other error the port is of no more use.
func (s *EventStream) Receive() (Event, error) {
	line, err := s.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Event{}, fmt.Errorf("control port: more than %d bytes without an end of line", maxLine)
	case err != nil:
		return Event{}, err
	}
	var ev Event
	if err := json.Unmarshal(line, &ev); err != nil {
		return Event{}, fmt.Errorf("control port: %q: %w", shorten(line), err)
	}
	if err := ev.check(); err != nil {
		return Event{}, fmt.Errorf("control port: %q: %w", shorten(line), err)
	}
	return ev, nil
}

// shorten makes a line fit into an error message.
func shorten(line []byte) []byte {
	line = bytes.TrimSpace(line)
	return line[:min(len(line), 200)]
}
