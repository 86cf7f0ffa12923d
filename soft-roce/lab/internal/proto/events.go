package proto

import (
	"bufio"
	"encoding/json"
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

// EventStream sends and receives events, one JSON object per line.
type EventStream struct {
	w io.Writer
	r *bufio.Reader
}

// NewEventStream makes the stream of a control port's end.
func NewEventStream(rw io.ReadWriter) *EventStream {
	return &EventStream{rw, bufio.NewReader(rw)}
}

// Send writes an event.
func (s *EventStream) Send(ev Event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	_, err = s.w.Write(append(line, '\n'))
	return err
}

// Receive reads the next event. The error is io.EOF when the port was closed.
func (s *EventStream) Receive() (Event, error) {
	line, err := s.r.ReadBytes('\n')
	if err != nil {
		return Event{}, err
	}
	var ev Event
	if err := json.Unmarshal(line, &ev); err != nil {
		return Event{}, fmt.Errorf("control port: %q: %w", line, err)
	}
	return ev, nil
}
