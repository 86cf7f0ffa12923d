package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"umemstress/soft-roce/lab"
	"umemstress/workload/record"
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

// A verdict of harm stands when the run could not be taken down; good news does not.
func TestRunStatus(t *testing.T) {
	for _, c := range []struct {
		verdict record.Verdict
		cleanup string
		want    int
	}{
		{record.DataLost, "", 12}, {record.DataLost, "clean up: rmdir: busy", 12},
		{record.Clean, "", exitClean}, {record.Clean, "clean up: rmdir: busy", exitFailed},
		{record.Inconclusive, "clean up: rmdir: busy", 4},
	} {
		if got := exitCode(runStatus(&record.Record{Verdict: c.verdict, CleanupError: c.cleanup})); got != c.want {
			t.Errorf("%s, %q: %d, want %d", c.verdict, c.cleanup, got, c.want)
		}
	}
}
