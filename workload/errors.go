package workload

import "fmt"

// usageError is the caller's: an impossible value or combination (exit code 2).
type usageError struct{ error }

// Usage marks the error for the command's exit code.
func (usageError) Usage() bool { return true }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// lacksError says that the host lacks a privilege, a program or a kernel
// feature, or that the run would endanger it (exit code 3).
type lacksError struct{ error }

// HostLacks marks the error for the command's exit code.
func (lacksError) HostLacks() bool { return true }

func (e lacksError) Unwrap() error { return e.error }

func lacksf(format string, args ...any) error {
	return lacksError{fmt.Errorf(format, args...)}
}
