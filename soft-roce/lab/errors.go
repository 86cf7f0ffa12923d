package lab

import (
	"fmt"

	"umemstress/soft-roce/lab/internal/host"
)

// Exit codes for what is not the program's doing. The program's own codes pass
// through, so these lie outside of those of umemstress itself.
const (
	ExitCrashed = 20               // the guest's kernel crashed
	ExitFailed  = host.ExitNoGuest // the lab could not boot the guest, or lost it
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
