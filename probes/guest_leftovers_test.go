//go:build guest

package probes

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A session takes away the events of a killed one, and none of somebody who is alive.
func TestLeftoversRemoved(t *testing.T) {
	const path = "/sys/kernel/tracing/kprobe_events"
	const pastPID = 1 << 22 // no process can have it: it is the largest pid_max
	dead := fmt.Sprintf("umemstress_%d_0123456789abcdef/leftover", pastPID)
	alive := fmt.Sprintf("umemstress_%d_0123456789abcdef/leftover", os.Getpid())
	for _, event := range []string{dead, alive} {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		_, err = f.WriteString("p:" + event + " vfs_read\n")
		check(t, err)
		check(t, f.Close())
	}
	t.Cleanup(func() { check(t, removeEvent(path, alive)) })
	session, err := Attach(Options{})
	check(t, err)
	defer func() { check(t, session.Close()) }()
	events, err := os.ReadFile(path)
	check(t, err)
	if strings.Contains(string(events), dead) || !strings.Contains(string(events), alive) {
		t.Errorf("after a session was attached:\n%s", events)
	}
}
