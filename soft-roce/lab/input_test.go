package lab

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"umemstress/soft-roce/lab/internal/proto"
)

// The guest is told how much input there is, and an input that fails is no shorter one.
func TestFeed(t *testing.T) {
	failed := errors.New("bad disk")
	for name, tt := range map[string]struct {
		input io.Reader
		fails error
	}{
		"to its end": {strings.NewReader("hello\n"), nil},
		"empty":      {strings.NewReader(""), nil},
		"fails":      {io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(failed)), failed},
	} {
		port, err := os.CreateTemp(t.TempDir(), "port")
		if err != nil {
			t.Fatal(err)
		}
		var control bytes.Buffer
		h := &hostSide{stdin: port, events: proto.NewEventStream(&control)}
		if err := h.feed(tt.input); !errors.Is(err, tt.fails) {
			t.Errorf("%s: %v", name, err)
		}
		sent, err := os.ReadFile(port.Name())
		if err != nil {
			t.Fatal(err)
		}
		order, err := proto.NewEventStream(&control).ReceiveOrder()
		if tt.fails != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: the guest was told of an end: %+v", name, order)
			}
		} else if want := (proto.Order{Kind: proto.OrderInputEnd, Input: int64(len(sent))}); order != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", name, order, err, want)
		}
		port.Close()
	}
}

func TestEscape(t *testing.T) {
	for keys, want := range map[string]int{"\x1d\x1d": 0, "\x1d\x1dx\x1d": 0, "abc\x1d\x1d\x1d": 1, "\x1d": 0} {
		escapes := 0
		got, err := io.ReadAll(&escapeReader{src: iotest.OneByteReader(strings.NewReader(keys)), escaped: func() { escapes++ }})
		if escapes != want || err != nil || string(got) != keys {
			t.Errorf("%q: %d escapes, want %d; passed on %q, %v", keys, escapes, want, got, err)
		}
	}
}

// echoes tells whether the terminal is as it was, and not raw.
func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return modes.Lflag&unix.ECHO != 0 && modes.Lflag&unix.ICANON != 0
}

func TestRawTerminal(t *testing.T) {
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer tty.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 33, Cols: 77}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	sizes := make(chan proto.Size, 2)
	raw, err := makeRaw(tty, func(size proto.Size) { sizes <- size })
	if err != nil {
		t.Fatal(err)
	}
	if echoes(t, tty) {
		t.Error("it is not raw")
	}
	if size := <-sizes; size != (proto.Size{Rows: 33, Cols: 77}) {
		t.Errorf("size %+v", size)
	}
	if err := errors.Join(pty.Setsize(tty, &pty.Winsize{Rows: 10, Cols: 20}), unix.Kill(os.Getpid(), unix.SIGWINCH)); err != nil {
		t.Fatal(err)
	}
	if size := <-sizes; size != (proto.Size{Rows: 10, Cols: 20}) {
		t.Errorf("new size %+v", size)
	}
	if err := errors.Join(raw.restore(), raw.restore()); err != nil {
		t.Error(err)
	}
	after, err := term.GetState(int(tty.Fd()))
	if err != nil || *after != *before {
		t.Errorf("not as it was: %+v, %v", after, err)
	}
}

// A lab that is killed leaves no terminal raw.
func TestRawTerminalOfKilled(t *testing.T) {
	if os.Getenv("TERMINAL_TO_BE_RAW") != "" {
		if _, err := makeRaw(os.Stdin, func(proto.Size) {}); err != nil {
			t.Fatal(err)
		}
		os.Stderr.WriteString("raw\n")
		select {}
	}
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer tty.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRawTerminalOfKilled$")
	cmd.Env = append(os.Environ(), "TERMINAL_TO_BE_RAW=1")
	cmd.Stdin = tty
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stderr).ReadString('\n'); line != "raw\n" || echoes(t, tty) {
		t.Errorf("%q, %v; raw: %v", line, err, !echoes(t, tty))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	for deadline := time.Now().Add(10 * time.Second); !echoes(t, tty); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the terminal stays raw")
		}
	}
}

// Who is in the background of a terminal is stopped for reading from it.
func TestInForeground(t *testing.T) {
	if os.Getenv("WHERE_AT_TERMINAL") != "" {
		fmt.Fprintln(os.Stderr, "in the foreground:", InForeground(os.Stdin))
		return
	}
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer tty.Close()
	var stderr bytes.Buffer
	cmd := exec.Command("sh", "-c", `set -m; "$0" -test.run='^TestInForeground$' <&0 & wait; "$0" -test.run='^TestInForeground$'`, os.Args[0])
	cmd.Env = append(os.Environ(), "WHERE_AT_TERMINAL=1")
	cmd.Stdin, cmd.Stderr = tty, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if want := "in the foreground: false\nin the foreground: true\n"; stderr.String() != want {
		t.Errorf("%q, want %q", stderr.String(), want)
	}
}
