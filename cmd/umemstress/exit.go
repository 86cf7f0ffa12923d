package main

import (
	"context"
	"errors"

	"umemstress/soft-roce/lab"
)

// The exit codes of the command, the same for every subcommand, beside those of verdicts
// (record.Verdict) and of guests (package lab).
const (
	exitClean       = 0
	exitFailed      = 1
	exitUsage       = 2
	exitHostLacks   = 3
	exitInterrupted = 130

	// Of lab bisect, as git bisect run takes them.
	exitBisectBad  = 1
	exitBisectSkip = 125
	exitBisectEnds = 128
)

// statusError carries an exit code that is a result and not a failure, such as
// a verdict or the exit code of a guest's program. Nothing is printed for it.
type statusError int

func (statusError) Error() string { return "the result is in the exit code" }

// usageError marks an error as the caller's: wrong flags, arguments or values.
type usageError struct{ error }

func (usageError) Usage() bool     { return true }
func (e usageError) Unwrap() error { return e.error }

// exitCode maps an error to the exit code of the contract. Packages do not know
// exit codes: their errors say what kind they are by behaviour, so that a
// package needs no import for it. Only the lab's errors bring a code of their own: that of
// a child process (*exec.ExitError) is never ours.
//
//	Usage() bool       the caller asked for something impossible
//	HostLacks() bool   the host lacks a device, a privilege or a kernel feature
func exitCode(err error) int {
	var status statusError
	var crashed *lab.CrashError
	var failed *lab.LabError
	var usage interface{ Usage() bool }
	var lacks interface{ HostLacks() bool }
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &crashed):
		return crashed.ExitCode()
	case errors.As(err, &failed):
		return failed.ExitCode()
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage) && usage.Usage():
		return exitUsage
	case errors.As(err, &lacks) && lacks.HostLacks():
		return exitHostLacks
	}
	return exitFailed
}

// bisectCode is the exit code of lab bisect: what is no answer is to end git bisect run, which
// would take most codes for a bad commit.
func bisectCode(err error) int {
	code := exitCode(err)
	if err == nil || errors.As(err, new(statusError)) || code > exitBisectEnds {
		return code
	}
	return exitBisectEnds
}
