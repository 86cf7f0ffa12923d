package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

const echoChild = "echo"

func TestMain(m *testing.M) {
	RunIfChild(map[string]Main{
		janitorOwnerChild: janitorOwner,
		echoChild: func(args []string, in io.Reader, out io.Writer) error {
			said, err := io.ReadAll(in)
			if err != nil || len(args) == 0 {
				return fmt.Errorf("%d arguments, %w", len(args), err)
			}
			_, marked := os.LookupEnv(marker)
			fmt.Fprintf(out, "%q %s %v", args, said, marked)
			return nil
		},
	})
	os.Exit(m.Run())
}

// A copy of this program is the child that it was started as, and its own children are not.
func TestChild(t *testing.T) {
	cmd, err := Command(echoChild, "one", "two words")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = strings.NewReader("text")
	got, err := cmd.Output()
	if want := `["one" "two words"] text false`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// What a child fails with is on stderr, and so is the name of one that there is not.
func TestChildFails(t *testing.T) {
	for name, want := range map[string]string{echoChild: "0 arguments", "other": `UMEMSTRESS_CHILD="other"`} {
		cmd, err := Command(name)
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %v, %q; want %q", name, err, stderr.String(), want)
		}
	}
}

// A program that does not look for the marker would run itself over and over.
func TestChildOfUnready(t *testing.T) {
	ready.Store(false)
	defer ready.Store(true)
	if _, err := Command(echoChild); err == nil || !strings.Contains(err.Error(), "RunChild") {
		t.Error(err)
	}
}

// A bound child does not end with the goroutine, or the thread, that had it started, and it
// ends with the process: see package hog.
func TestStartBound(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var wait func() error
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocks it, so that the thread ends
		defer close(done)
		wait, err = StartBound(cmd)
	}()
	if <-done; err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // a thread is gone a moment after its goroutine
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wait(), wait()); err != nil {
		t.Errorf("it did not end by itself: %v", err)
	}
	if _, err := StartBound(exec.Command("/no/such/program")); err == nil {
		t.Error("what does not exist was started")
	}
}
