package guest

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"umemstress/soft-roce/lab/internal/proto"
)

// The input ends where the host says, whether that is said before the bytes arrive or
// after.
func TestInputEnds(t *testing.T) {
	const said = "all that there is"
	for _, early := range []bool{false, true} {
		port, host, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in := newInput(port, w)
		if early {
			in.endAt(int64(len(said)))
		}
		if _, err := host.WriteString(said); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(said))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != said {
			t.Errorf("%q, %v", got, err)
		}
		if !early {
			in.endAt(int64(len(said)))
		}
		if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil {
			t.Errorf("after the end: %q, %v", rest, err)
		}
		host.Close()
		r.Close()
	}
}

// control is a port whose orders are given beforehand.
type control struct {
	io.Reader
	io.Writer
}

// A program at a terminal is asked what it sees there; its stderr is a pipe of its own.
func TestTerminalOfProgram(t *testing.T) {
	dir := t.TempDir()
	port := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	keys, host, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	to := &ports{stdin: keys, stdout: port("stdout"), stderr: port("stderr")}
	p, err := newStdio(&proto.Spec{Term: &proto.Terminal{Size: proto.Size{Rows: 11, Cols: 22}}}, to)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "stty size; read line; stty size; echo $line >&2; test -t 0 -a -t 1 -a ! -t 2; echo $?")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.files[0], p.files[1], p.files[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.started(); err != nil {
		t.Fatal(err)
	}
	var orders bytes.Buffer
	if err := proto.NewEventStream(&orders).SendOrder(proto.Order{Kind: proto.OrderResize, Size: proto.Size{Rows: 33, Cols: 44}}); err != nil {
		t.Fatal(err)
	}
	waitForLine(t, to.stdout.Name(), "11 22\r\n")
	p.obey(proto.NewEventStream(control{&orders, io.Discard}))
	if _, err := host.WriteString("typed\r"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var ev proto.Event
	if err := p.finish(&ev); err != nil {
		t.Fatal(err)
	}
	stdout, _ := os.ReadFile(to.stdout.Name())
	stderr, _ := os.ReadFile(to.stderr.Name())
	if want := "11 22\r\ntyped\r\n33 44\r\n0\r\n"; string(stdout) != want || string(stderr) != "typed\n" {
		t.Errorf("stdout %q, want %q; stderr %q", stdout, want, stderr)
	}
	if ev.Stdout != int64(len(stdout)) || ev.Stderr != int64(len(stderr)) {
		t.Errorf("counted %+v", ev)
	}
}

// waitForLine waits until a file that is written to begins with the line.
func waitForLine(t *testing.T, path, line string) {
	t.Helper()
	for {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := bufio.NewReader(f).ReadString('\n')
		f.Close()
		if strings.HasPrefix(got, line) {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
}
