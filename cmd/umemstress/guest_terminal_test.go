//go:build guest

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a command that runs on one.
type terminal struct {
	keys io.Writer
	done chan error

	mu   sync.Mutex
	text bytes.Buffer
}

func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	cmd := command(args...)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 240})
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{keys: master, done: make(chan error, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(s, master) // EIO: nobody has the other end any more
	}()
	go func() {
		err := cmd.Wait()
		<-read
		s.done <- err
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error: it has ended already
		master.Close()
	})
	return s
}

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *terminal) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns once something that matches stood on the terminal.
func (s *terminal) await(t *testing.T, pattern string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !regexp.MustCompile(pattern).MatchString(s.String()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s did not come within a minute: %q", pattern, s)
		}
	}
}

// awaitScraped returns once a scrape of Prometheus gets all of the lines, which are told anew
// every second.
func awaitScraped(t *testing.T, address string, lines ...string) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		text := scraped(t, address)
		missing := slices.IndexFunc(lines, func(line string) bool { return !strings.Contains(text, line+"\n") })
		if missing < 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s is missing in:\n%s", lines[missing], text)
		}
	}
}

func scraped(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	return string(text)
}

// Who sits before a terminal sees a table that follows along, while Prometheus asks for the sums;
// Ctrl-C ends it.
func TestObserveOnTerminal(t *testing.T) {
	const address = "127.0.0.1:9750"
	file := pinnedFile(t, 256)
	s := onTerminal(t, "observe", "--listen", address, "--comm", "ib_write_bw")
	s.await(t, `PROCESS +HOLDER`)
	server, client := perftest(t, file, 4)
	ended := make(chan error, 1)
	go func() { ended <- client() }()
	row := func(pages, last string) string {
		return fmt.Sprintf(`ib_write_bw\[%d\] +rdma +%s +%s +%s`, server.Process.Pid, pages, last, regexp.QuoteMeta(file.Name()))
	}
	if *expectVerdict == "refused" {
		<-ended // with an error of its own
		s.await(t, row(`(?:- +){6}`, "refused"))
		awaitScraped(t, address, `umemstress_regions_total{kind="refused"} 1`, `umemstress_lost_total{stage="events"} 0`)
	} else {
		s.await(t, row(`32 +(?:- +){5}`, "pinned"))
		awaitScraped(t, address, `umemstress_regions_total{kind="pinned"} 1`, `umemstress_regions_total{kind="released"} 0`)
		provokeIt(t, server.Process.Pid, file)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		lost, of := "-", "0"
		if *expectVerdict == "data-lost" {
			lost, of = "32", "32"
		}
		s.await(t, row("32 +"+lost+" +32 +"+lost+" +- +- +", "(?:released|dirtied)"))
		awaitScraped(t, address, `umemstress_regions_total{kind="pinned"} 1`, `umemstress_regions_total{kind="released"} 1`, `umemstress_lost_total{stage="events"} 0`,
			`umemstress_pages_total{filesystem="ext4",holder="rdma",kind="unannounced"} 32`,
			`umemstress_pages_total{filesystem="ext4",holder="rdma",kind="bufferless"} `+of)
	}
	if _, err := s.keys.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	select {
	case err := <-s.done:
		if err != nil || !strings.Contains(s.String(), "summary") { // its exit code is 0
			t.Errorf("%v: %q", err, s)
		}
	case <-time.After(time.Minute):
		t.Fatalf("it does not end: %q", s)
	}
	t.Logf("on the terminal: %q", s)
}
