package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Where a return is watched with room for many of them, the kernel knows the probe as an
// event of tracefs, which outlives a process that is killed. Its group has the PID in its
// name, so that the next session can tell whose it was.
const eventPrefix = "umemstress"

func eventGroup() string { return fmt.Sprintf("%s_%d", eventPrefix, os.Getpid()) }

// ourEvent matches a line of kprobe_events that a session has set.
var ourEvent = regexp.MustCompile(`^[pr][0-9]*:(` + eventPrefix + `_([0-9]+)_[0-9a-f]+/\S+) `)

// leftovers lists the events in a kprobe_events whose process is gone.
func leftovers(events string, alive func(pid string) bool) []string {
	var found []string
	for line := range strings.Lines(events) {
		if m := ourEvent.FindStringSubmatch(line); m != nil && !alive(m[2]) {
			found = append(found, m[1])
		}
	}
	return found
}

// removeLeftovers takes away what sessions of killed processes have left. One that cannot
// be taken away does no harm: it is not armed, and the kernel refuses to remove one that
// is in use, as by a process of another PID namespace.
func removeLeftovers() {
	for _, tracefs := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		path := filepath.Join(tracefs, "kprobe_events")
		events, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, event := range leftovers(string(events), processExists) {
			_ = removeEvent(path, event)
		}
		return
	}
}

func processExists(pid string) bool {
	_, err := os.Stat("/proc/" + pid)
	return !errors.Is(err, fs.ErrNotExist)
}

func removeEvent(path, event string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("-:" + event + "\n")
	return errors.Join(err, f.Close())
}
