package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"umemstress/soft-roce/lab/internal/proto"
)

// ports are the guest's ends of the virtio-serial ports.
type ports struct {
	control        *proto.EventStream
	stdin          *os.File // nil: the program has no input
	stdout, stderr *os.File
}

// openPorts opens the ports. The driver names them asynchronously, after it was
// loaded.
func openPorts(input bool) (*ports, error) {
	open := map[string]*os.File{}
	want := 3
	if input {
		want++
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(open) < want {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("only %d of %d virtio-serial ports appeared", len(open), want)
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
			if open[name] != nil || name == "" || name == proto.PortPeer { // which is the program's
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
	return &ports{
		control: proto.NewEventStream(open[proto.PortControl]),
		stdin:   open[proto.PortStdin],
		stdout:  open[proto.PortStdout],
		stderr:  open[proto.PortStderr],
	}, nil
}
