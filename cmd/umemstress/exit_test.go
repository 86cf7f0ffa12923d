package main

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
	var exit *exec.ExitError
	if !errors.As(child, &exit) {
		t.Fatal(child)
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitClean},
		{fmt.Errorf("mkfs.ext4 on the scratch file: %w", child), exitFailed},
		{errors.Join(child, context.Canceled), exitInterrupted},
		{usageErrorf("it ended with %w", child), exitUsage},
		{fmt.Errorf("in a guest: %w", &lab.CrashError{Reason: "BUG"}), lab.ExitCrashed},
		{errors.Join(child, &lab.LabError{Op: "boot", Err: child}), lab.ExitFailed},
		{statusError(12), 12},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
