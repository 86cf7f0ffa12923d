package host

import (
	"fmt"
	"strings"
)

// ExitNoGuest is the exit code of a command whose guest the lab could not boot, or
// lost.
const ExitNoGuest = 21

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

func Usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// OneLine makes the output of a program fit into an error message.
func OneLine(out []byte) string {
	return strings.Join(strings.Fields(string(out)), " ")
}
