package lab

import (
	"fmt"
	"strings"
)

// Exit codes for what is not the program's doing. The program's own codes pass
// through, so these lie outside of those of umemstress itself.
const (
	ExitCrashed = 20 // the guest's kernel crashed
	ExitFailed  = 21 // the lab could not boot the guest, or lost it
)

// CrashError says that the guest's kernel died before the program ended.
type CrashError struct {
	Reason string // the kernel's own line, such as "Kernel panic - not syncing: …"
	Serial string // path of the serial log
}

func (e *CrashError) Error() string {
	return fmt.Sprintf("the guest's kernel crashed: %s (serial log: %s)", e.Reason, e.Serial)
}

// ExitCode is the exit code of a command that failed with this error.
func (e *CrashError) ExitCode() int { return ExitCrashed }

// LabError says that the lab did not get the guest to run the program to its
// end: it did not boot, the link did not come up, the time was up.
type LabError struct {
	Op     string // what was being done
	Err    error
	Serial string // path of the serial log, if there is one
}

func (e *LabError) Error() string {
	msg := fmt.Sprintf("lab: %s: %v", e.Op, e.Err)
	if e.Serial != "" {
		msg += " (serial log: " + e.Serial + ")"
	}
	return msg
}

func (e *LabError) Unwrap() error { return e.Err }

// ExitCode is the exit code of a command that failed with this error.
func (e *LabError) ExitCode() int { return ExitFailed }

// lacksError says that the host lacks a program that the lab calls.
type lacksError struct {
	what    string
	install string // Debian package
}

func (e *lacksError) Error() string {
	return fmt.Sprintf("the host has no %s: install it with 'apt-get install --no-install-recommends %s'", e.what, e.install)
}

// HostLacks marks the error as the host's lack.
func (e *lacksError) HostLacks() bool { return true }

// usageError says that the caller asked for something that there is not.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// Usage marks the error as the caller's.
func (e *usageError) Usage() bool { return true }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// oneLine makes the output of a program fit into an error message.
func oneLine(out []byte) string {
	return strings.Join(strings.Fields(string(out)), " ")
}
