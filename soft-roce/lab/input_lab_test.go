//go:build lab

package lab

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// What is on stdin arrives whole, in more than any buffer between host and guest holds, and
// then ends. The program is slow to begin with.
func TestInputIsExact(t *testing.T) {
	data := make([]byte, 30<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	c, stdout, _ := shell(t, "sleep 1; sha256sum; wc -c")
	c.NoDevice = true
	c.Stdin = bytes.NewReader(data)
	result, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("took %s", result.Total)
	if want := fmt.Sprintf("%x  -\n0\n", sha256.Sum256(data)); stdout.String() != want {
		t.Errorf("the guest says %q, want %q", stdout, want)
	}
}

// A program that leaves its input unread ends all the same.
func TestInputUnread(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // no end
	c, stdout, _ := shell(t, "read line; echo $line; exit 3")
	c.NoDevice = true
	c.Stdin = r
	go w.Write(append([]byte("first\n"), make([]byte, 1<<20)...))
	if result, err := Run(t.Context(), c); err != nil || result.ExitCode != 3 || stdout.String() != "first\n" {
		t.Errorf("%+v, %v; stdout %q", result, err, stdout)
	}
	r.Close()
}

// A program in the guest at a terminal of the host: it is one there, too, Ctrl-C is for
// what runs in it, and the host's terminal is as before when it ends.
func TestTerminal(t *testing.T) {
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer tty.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 33, Cols: 77}); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(ours); s.Scan(); {
			lines <- strings.TrimSpace(s.Text())
		}
	}()
	waitFor := func(want string) {
		t.Helper()
		for timeout := time.After(time.Minute); ; {
			select {
			case line := <-lines:
				if strings.Contains(line, want) {
					return
				}
			case <-timeout:
				t.Errorf("no line with %q", want)
				return
			}
		}
	}
	// What is ready is what Ctrl-C is to end: before it runs, the shell would take it alone.
	c, _, _ := shell(t, "trap : INT; stty size; sh -c 'echo ready; exec sleep 1000'; echo code=$?; read line; exit $line")
	c.NoDevice = true
	c.Terminal, c.Stdout, c.Stderr = tty, tty, tty
	done := make(chan struct{})
	go func() {
		defer close(done)
		waitFor("33 77")
		waitFor("ready")
		if echoes(t, tty) {
			t.Error("the host's terminal is not raw")
		}
		ours.WriteString("\x03")
		waitFor("code=130")
		ours.WriteString("9\r")
	}()
	result, err := Run(t.Context(), c)
	<-done
	if err != nil || result.ExitCode != 9 {
		t.Errorf("%+v, %v", result, err)
	}
	if !echoes(t, tty) {
		t.Error("the host's terminal stays raw")
	}
}
