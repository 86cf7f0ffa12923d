package promise

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{Child: Main})
	os.Exit(m.Run())
}

func TestAsk(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(3 * 4096); err != nil {
		t.Fatal(err)
	}
	if a, err := Ask(f, 4096, 8192, "asker"); err != nil || a != (Answers{}) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := Ask(f, 1, 0, "asker"); err != nil || a != (Answers{}) {
		t.Errorf("fsync alone: %+v, %v", a, err)
	}
	// What cannot be mapped is no answer.
	if _, err := Ask(f, 1, 4096, "asker"); err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("from byte 1 on: %v", err)
	}
}

// An error of a system call is an answer. fsync of a pipe is EINVAL (fs/sync.c).
func TestErrno(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if got, err := errno(unix.Fsync(int(w.Fd()))); got != unix.EINVAL || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := errno(os.ErrClosed); err == nil {
		t.Error("another error is an answer")
	}
}

// The kernel tells of a death by the name of the thread.
func TestThreadIsNamed(t *testing.T) {
	done := make(chan struct{})
	go func() { // its thread ends with it
		defer close(done)
		if err := nameThread("asker"); err != nil {
			t.Error(err)
		}
		if name, err := os.ReadFile(threadComm); err != nil || string(name) != "asker\n" {
			t.Errorf("%q, %v", name, err)
		}
	}()
	<-done
}

func TestMainRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"0"}, {"0", "1"}, {"x", "1", "z"}, {"0", "y", "z"}} {
		var out bytes.Buffer
		if err := Main(args, nil, &out); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %q", args, err, &out)
		}
	}
}
