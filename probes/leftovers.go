package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
)

// Where a return is watched with room for many of them, the kernel knows the probe as an
// event of tracefs, which outlives a process that is killed. The PID is in the name of its
// group, so that the next session can tell whose it was, and so is the session's own number.
const eventPrefix = "umemstress"

var sessions atomic.Uint64

func eventGroup() string { return fmt.Sprintf("%s_%d_%d", eventPrefix, os.Getpid(), sessions.Add(1)) }

// eventsUndo is a shell script that removes the events of the group $1, once their process
// is gone. Which of the process's descriptors the kernel closes first is not certain: an
// event that is still in use is tried again. What was read while something was removed is
// not complete, so the end is a reading that found nothing.
const eventsUndo = `for dir in /sys/kernel/tracing /sys/kernel/debug/tracing; do
	[ -e $dir/kprobe_events ] || continue
	tries=0
	while :; do
		found=
		while read -r event rest; do
			case $event in
			*:"$1"_*/*) found=${event#*:}; { echo "-:$found" >>$dir/kprobe_events; } 2>/dev/null ;;
			esac
		done <$dir/kprobe_events
		[ "$found" ] || exit 0
		[ $tries -lt 100 ] || { echo "the kernel keeps the kprobe event $found" >&2; exit 1; }
		tries=$((tries + 1))
		sleep 0.1
	done
done`

// ourEvent matches a line of kprobe_events that a session has set.
var ourEvent = regexp.MustCompile(`^[pr][0-9]*:(` + eventPrefix + `_([0-9]+)(?:_[0-9]+)?_[0-9a-f]+/\S+) `)

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
		if errors.Is(err, fs.ErrPermission) {
			return // the other one is the same; and to look for it there has the kernel mount it
		}
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
