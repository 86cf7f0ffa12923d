// Package exit knows which exit code of the contract an error has, and how it is told.
package exit

import (
	"context"
	"errors"
	"fmt"

	"umemstress/soft-roce/lab"
)

// The exit codes of the command, the same for every subcommand, beside those of verdicts
// (record.Verdict) and of guests (package lab).
const (
	Clean       = 0
	Failed      = 1
	Usage       = 2
	HostLacks   = 3
	Interrupted = 130
)

// The answers of lab bisect, as git bisect run takes them.
const (
	BisectBad  = 1
	BisectSkip = 125
	BisectEnds = 128 // to the whole bisection
)

// Status carries an exit code that is a result and not a failure, such as a verdict or the
// exit code of a guest's program. Nothing is printed for it.
type Status int

func (Status) Error() string { return "the result is in the exit code" }

// usageError marks an error as the caller's: wrong flags, arguments or values.
type usageError struct{ error }

func (usageError) Usage() bool     { return true }
func (e usageError) Unwrap() error { return e.error }

// UsageError marks an error as the caller's.
func UsageError(err error) error { return usageError{err} }

// Usagef makes an error that is the caller's.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Code maps an error to the exit code of the contract. Packages do not know exit codes: their
// errors say what kind they are by behaviour, so that a package needs no import for it. Only
// the lab's errors bring a code of their own: that of a child process (*exec.ExitError) is
// never ours.
//
//	Usage() bool       the caller asked for something impossible
//	HostLacks() bool   the host lacks a device, a privilege or a kernel feature
func Code(err error) int {
	var status Status
	var crashed *lab.CrashError
	var failed *lab.LabError
	var usage interface{ Usage() bool }
	var lacks interface{ HostLacks() bool }
	switch {
	case err == nil:
		return Clean
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &crashed):
		return crashed.ExitCode()
	case errors.As(err, &failed):
		return failed.ExitCode()
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &usage) && usage.Usage():
		return Usage
	case errors.As(err, &lacks) && lacks.HostLacks():
		return HostLacks
	}
	return Failed
}

// BisectCode is the exit code of lab bisect: what is no answer is to end git bisect run, which
// would take most codes for a bad commit.
func BisectCode(err error) int {
	code := Code(err)
	if err == nil || errors.As(err, new(Status)) || code > BisectEnds {
		return code
	}
	return BisectEnds
}
