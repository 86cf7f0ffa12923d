// Package fault says of what kind an error is: the caller's, the host's, a kernel's
// refusal, or a phase that had no effect. Callers ask by behaviour, so that nothing has to
// import it for that: Usage() bool, HostLacks() bool.
package fault

import (
	"errors"
	"fmt"
)

// usageError is the caller's: an impossible value or combination (exit code 2).
type usageError struct{ error }

// Usage marks the error for the command's exit code.
func (usageError) Usage() bool { return true }

func (e usageError) Unwrap() error { return e.error }

// Usagef makes an error that is the caller's.
func Usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// lacksError says that the host lacks a privilege, a program or a kernel
// feature, or that the run would endanger it (exit code 3).
type lacksError struct{ error }

// HostLacks marks the error for the command's exit code.
func (lacksError) HostLacks() bool { return true }

func (e lacksError) Unwrap() error { return e.error }

// Lacksf makes an error that says what the host lacks, and how to get it.
func Lacksf(format string, args ...any) error {
	return lacksError{fmt.Errorf(format, args...)}
}

// ineffectiveError is of a phase that ran without doing what it is for.
type ineffectiveError struct{ error }

func (e ineffectiveError) Unwrap() error { return e.error }

// Ineffectivef makes an error that says why a phase had no effect: that is a result.
func Ineffectivef(format string, args ...any) error {
	return ineffectiveError{fmt.Errorf(format, args...)}
}

// IsIneffective says whether the phase that returned err had no effect.
func IsIneffective(err error) bool {
	var i ineffectiveError
	return errors.As(err, &i)
}

// waitsError is of a phase whose call has not returned, and waits for the holder.
type waitsError struct{ error }

func (e waitsError) Unwrap() error { return e.error }

// Waitsf makes an error that says what waits for the holder: that is a result, and the run goes on.
func Waitsf(format string, args ...any) error {
	return waitsError{fmt.Errorf(format, args...)}
}

// IsWaiting says whether the phase that returned err left a call behind that waits for the holder.
func IsWaiting(err error) bool {
	var w waitsError
	return errors.As(err, &w)
}

// refusedError says that the kernel refused the pin because the memory is a
// file's: it cannot happen on this kernel.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// PinRefused marks the kernel's error as its refusal to pin memory of a file.
func PinRefused(err error) error { return refusedError{err} }

// IsPinRefused says whether the kernel refused the pin.
func IsPinRefused(err error) bool {
	var r refusedError
	return errors.As(err, &r)
}
