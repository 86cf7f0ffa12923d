//go:build faults

package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exitOther is the exit code of a lab whose guest's kernel crashed of something else than a run.
const exitOther = 20

// What docs/findings/rxe-window.md says of a window's key: a kernel either panics of it and the lab says so, or its device refuses the request. That it
// takes the key of somebody else's window with success, and goes on, is not to be taken for a crash.
func TestCrashWindow(t *testing.T) {
	reproducer := filepath.Join(t.TempDir(), "rxe-window")
	if out, err := exec.Command("cc", "-O2", "-Wall", "-Werror", "-o", reproducer, "../../docs/findings/rxe-window.c", "-libverbs").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for kernel, ways := range map[string][]string{"6.1": {"other", "send"}, "6.12": {"twice"}, "sid": {"new"}} {
		for _, way := range ways {
			p := start(t, nil, program(t), "lab", "exec", "--kernel", kernel, "--cpus", "1", "--timeout", "1m", "--serial", filepath.Join(t.TempDir(), "console"), "--", reproducer, "rxe0", way)
			if !p.ended(2 * time.Minute) {
				t.Errorf("%s, %s: it did not end: %s", kernel, way, p)
				continue
			}
			said, dies := p.stdout.String(), p.code() == exitOther && strings.Contains(p.stderr.String(), "NULL pointer dereference")
			switch {
			case dies && way != "other":
				fmt.Printf("%s dies of the key of a window (%s)\n", kernel, way)
			case p.code() == 0 && way == "other" && strings.Contains(said, "LOCAL_INV: success"):
				fmt.Printf("%s takes the key of another's window\n", kernel)
			case p.code() == 0 && strings.Contains(said, " error\n"):
				fmt.Printf("%s refuses the key of a window (%s): docs/findings/rxe-window.md and FragileWindows can say so\n", kernel, way)
			default:
				t.Errorf("%s, %s: %s", kernel, way, p)
			}
		}
	}
}
