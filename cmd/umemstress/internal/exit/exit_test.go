package exit

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"umemstress/soft-roce/lab"
)

// A child's exit code is never ours, whatever it stands for here.
func TestExitCode(t *testing.T) {
	child := exec.Command("sh", "-c", "exit 13").Run()
	var failed *exec.ExitError
	if !errors.As(child, &failed) {
		t.Fatal(child)
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, Clean},
		{fmt.Errorf("mkfs.ext4 on the scratch file: %w", child), Failed},
		{errors.Join(child, context.Canceled), Interrupted},
		{Usagef("it ended with %w", child), Usage},
		{fmt.Errorf("in a guest: %w", &lab.CrashError{Reason: "BUG"}), lab.ExitCrashed},
		{errors.Join(child, &lab.LabError{Op: "boot", Err: child}), lab.ExitFailed},
		{Status(12), 12},
	} {
		if got := Code(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// No error of a bisection is taken for a bad commit, whatever it is at other commands.
func TestBisectCode(t *testing.T) {
	for want, err := range map[int]error{
		0:   nil,
		1:   Status(BisectBad),
		125: Status(BisectSkip),
		130: fmt.Errorf("%w", context.Canceled),
		128: Usagef("wrong"),
	} {
		if got := BisectCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if got := BisectCode(errors.New("broken")); got != 128 {
		t.Errorf("a failure: %d", got)
	}
}
