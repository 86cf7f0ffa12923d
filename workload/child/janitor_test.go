package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/worktest"
)

// Close undoes, once, with the file and the arguments given.
func TestJanitor(t *testing.T) {
	dir := t.TempDir()
	file, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	j, err := StartJanitor([]*os.File{file}, `echo "$1, $told" >>/proc/self/fd/3/undone`, "two words")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Tell("early"), j.Tell("late")); err != nil {
		t.Fatal(err)
	}
	// What ends a run must not end its janitor, once the shell has got that far.
	worktest.Eventually(t, "the shell ignores signals", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", j.cmd.Process.Pid))
		_, ignored, found := strings.Cut(string(status), "SigIgn:\t")
		const pipe = 1 << (unix.SIGPIPE - 1)
		mask, _ := strconv.ParseUint(ignored[:min(16, len(ignored))], 16, 64)
		return err == nil && found && mask&pipe != 0
	})
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE} {
		if err := j.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if sid, err := unix.Getsid(j.cmd.Process.Pid); err != nil || sid != j.cmd.Process.Pid {
		t.Errorf("session %d, %v; want its own", sid, err)
	}
	undone := filepath.Join(dir, "undone")
	if _, err := os.Stat(undone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it undid too early: %v", err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(undone); err != nil || string(got) != "two words, late\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// What goes wrong is told.
func TestJanitorFails(t *testing.T) {
	for script, want := range map[string]string{
		"echo no way >&2": "no way",
		"exit 3":          "exit status 3",
	} {
		j, err := StartJanitor(nil, script)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// ownerChild starts a janitor for each of its arguments, which makes the file of that name
// when the process is killed.
const janitorOwnerChild = "janitor-owner"

func janitorOwner(files []string, _ io.Reader, _ io.Writer) error {
	for _, file := range files {
		if _, err := StartJanitor(nil, `echo undone >"$1"`, file); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

// Janitors undo after SIGKILL as well, each on its own.
func TestJanitorAfterKill(t *testing.T) {
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	cmd, err := Command(janitorOwnerChild, files...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err := errors.Join(err, cmd.Process.Kill()); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Wait() // "signal: killed"
	for _, file := range files {
		worktest.Eventually(t, file+" is undone", func() bool {
			data, err := os.ReadFile(file)
			return err == nil && string(data) == "undone\n"
		})
	}
}

// What was started before the end is over before anything is undone.
func TestJanitorAwaits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "order")
	j, err := StartJanitor(nil, `echo undone >>"$1"`, file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `sleep 0.3; echo done >>"$1"`, "sh", file)
	j.Await(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if order, err := os.ReadFile(file); err != nil || string(order) != "done\nundone\n" {
		t.Errorf("%q, %v", order, err)
	}
}
