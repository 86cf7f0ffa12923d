//go:build guest

package probes

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The script takes away the events of its own session alone, and waits for one that is in use.
func TestEventsUndo(t *testing.T) {
	const path = "/sys/kernel/tracing/kprobe_events"
	group := func(session string) string { return fmt.Sprintf("umemstress_%d_%s", os.Getpid(), session) }
	add := func(session, name string) string {
		t.Helper()
		event := group(session) + "_0123456789abcdef/" + name
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		_, err = f.WriteString("p:" + event + " vfs_read\n")
		check(t, err)
		check(t, f.Close())
		return event
	}
	one, two, other := add("7", "one"), add("7", "two"), add("77", "one")
	t.Cleanup(func() { check(t, removeEvent(path, other)) })
	enable := func(word string) {
		t.Helper()
		check(t, os.WriteFile("/sys/kernel/tracing/events/"+one+"/enable", []byte(word), 0))
	}
	enable("1")
	script := exec.Command("/bin/sh", "-c", eventsUndo, "sh", group("7"))
	check(t, script.Start())
	for events := read(t, path); strings.Contains(events, two); events = read(t, path) {
	}
	if !strings.Contains(read(t, path), one) {
		t.Error("the event that is in use is gone")
	}
	enable("0")
	check(t, script.Wait())
	if events := read(t, path); strings.Contains(events, one) || !strings.Contains(events, other) {
		t.Errorf("in the end:\n%s", events)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

// A session without a probe that outlives it starts no shell; one with it starts a single
// one, and closes it.
func TestJanitorAsked(t *testing.T) {
	started, closed := 0, 0
	session, err := Attach(Options{Janitor: func(string, ...string) (io.Closer, error) {
		started++
		return closer(func() error { closed++; return nil }), nil
	}})
	check(t, err)
	events := strings.Count(read(t, "/sys/kernel/tracing/kprobe_events"), fmt.Sprintf(":umemstress_%d_", os.Getpid()))
	check(t, session.Close())
	if want := min(events, 1); started != want || closed != want {
		t.Errorf("%d events, %d shells started, %d closed", events, started, closed)
	}
}

type closer func() error

func (c closer) Close() error { return c() }
