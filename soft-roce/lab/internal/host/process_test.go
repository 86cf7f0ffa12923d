package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// family is a script that starts a child of its own and waits for it, as apt-get does with
// its methods, and that writes both numbers into a file.
const family = `sleep 1000 & echo $$ $! >"$1.new"; mv "$1.new" "$1"; wait`

// members waits for the numbers that a family writes.
func members(t *testing.T, file string) (pids []int) {
	t.Helper()
	var raw []byte
	eventually(t, "the family is there", func() bool {
		var err error
		raw, err = os.ReadFile(file)
		return err == nil
	})
	for _, word := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 {
		t.Fatalf("%q", raw)
	}
	return pids
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for: ", what)
		}
	}
}

// gone tells whether the process runs no more, be it that nobody has waited for it.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// A tool and what it started end when the context does, with the context's cause.
func TestCancelledToolEndsWithItsChildren(t *testing.T) {
	file := t.TempDir() + "/pids"
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the disk is full")
	ended := make(chan error)
	go func() {
		_, err := Shell.Run(ctx, "-c", family, "sh", file)
		ended <- err
	}()
	pids := members(t, file)
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) {
		t.Errorf("Run = %v", err)
	}
	for _, pid := range pids {
		eventually(t, fmt.Sprint(pid, " has ended"), func() bool { return gone(pid) })
	}
}

// A tool and what it started end with us, also when we are killed.
func TestToolOfKilledEndsWithItsChildren(t *testing.T) {
	if file := os.Getenv("TOOL_OF_KILLED"); file != "" {
		_, err := Shell.Run(t.Context(), "-c", family, "sh", file)
		t.Fatalf("Run = %v", err)
	}
	for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGHUP} {
		file := t.TempDir() + "/pids"
		// Under nohup the one signal would do nothing.
		cmd := exec.Command("env", "--default-signal=HUP", os.Args[0], "-test.run=^TestToolOfKilledEndsWithItsChildren$")
		cmd.Env = append(os.Environ(), "TOOL_OF_KILLED="+file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids := members(t, file)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("it was not killed")
		}
		for _, pid := range pids {
			eventually(t, fmt.Sprint(pid, " has ended"), func() bool { return gone(pid) })
		}
	}
}

// A tool begins nothing before its janitor knows of it, and ends if that never comes.
func TestGate(t *testing.T) {
	for _, open := range []bool{true, false} {
		began := t.TempDir() + "/began"
		cmd := exec.Command("touch", began)
		gate, err := hold(cmd)
		if err != nil {
			t.Fatal(err)
		}
		ended, err := StartBound(cmd)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if open {
			err = gate.open()
		}
		gate.close()
		end := <-ended
		_, found := os.Stat(began)
		if err != nil || (end == nil) != open || (found == nil) != open {
			t.Errorf("open %v: %v, %v, %v", open, err, end, found)
		}
	}
}

// What a tool holds open for us is held by its children, too, and a tool that ends leaves
// nobody to kill.
func TestHeldFile(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	out, err := Shell.RunAs(t.Context(), Call{Held: dir, In: strings.NewReader("in")}, "-c", "sh -c 'readlink /proc/self/fd/3'; cat")
	if want := dir.Name() + "\nin"; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

// A tool that complains of every file is repeated in one short line, and a full disk is
// told from other failures.
func TestLongComplaint(t *testing.T) {
	_, err := Shell.Run(t.Context(), "-c", `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "tar: file$i: Cannot write: No space left on device" >&2; done; exit 2`)
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "file1:") || !strings.Contains(err.Error(), "and 497 more lines") || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Run = %v", err)
	}
	if _, err := Shell.Run(t.Context(), "-c", "exit 2"); errors.Is(err, unix.ENOSPC) {
		t.Errorf("not full: %v", err)
	}
}
