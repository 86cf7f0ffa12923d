package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Kinds of event.
const (
	eventReady  = "ready"  // the program is about to start
	eventExited = "exited" // the program ended
	eventFailed = "failed" // the program could not be started
)

type event struct {
	Kind   string
	Error  string `json:",omitempty"`
	Code   int    `json:",omitempty"` // exit code; 128+n for signal n
	Stdout int64  `json:",omitempty"` // bytes sent on the port
	Stderr int64  `json:",omitempty"`
}

// eventStream sends and receives events, one JSON object per line.
type eventStream struct {
	w io.Writer
	r *bufio.Reader
}

func newEventStream(rw io.ReadWriter) *eventStream {
	return &eventStream{rw, bufio.NewReader(rw)}
}

func (s *eventStream) send(ev event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	_, err = s.w.Write(append(line, '\n'))
	return err
}

func (s *eventStream) receive() (event, error) {
	line, err := s.r.ReadBytes('\n')
	if err != nil {
		return event{}, err
	}
	var ev event
	if err := json.Unmarshal(line, &ev); err != nil {
		return event{}, fmt.Errorf("control port: %q: %w", line, err)
	}
	return ev, nil
}
