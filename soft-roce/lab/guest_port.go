package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// guestPorts are the guest's ends of the virtio-serial ports.
type guestPorts struct {
	control        *eventStream
	stdout, stderr *os.File
}

// openPorts opens the ports. The driver names them asynchronously, after it was
// loaded.
func openPorts() (*guestPorts, error) {
	open := map[string]*os.File{}
	deadline := time.Now().Add(10 * time.Second)
	for len(open) < 3 {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("only %d of 3 virtio-serial ports appeared", len(open))
		}
		names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return nil, err
		}
		for _, path := range names {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			name := strings.TrimSpace(string(raw))
			dev := "/dev/" + filepath.Base(filepath.Dir(path))
			if open[name] != nil || name == "" {
				continue
			}
			// The runtime's poller makes the port non-blocking. A blocking
			// write would spin in the kernel until the host has read.
			f, err := os.OpenFile(dev, os.O_RDWR, 0)
			if err != nil {
				return nil, err
			}
			open[name] = f
		}
		time.Sleep(time.Millisecond)
	}
	return &guestPorts{
		control: newEventStream(open[portControl]),
		stdout:  open[portStdout],
		stderr:  open[portStderr],
	}, nil
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
