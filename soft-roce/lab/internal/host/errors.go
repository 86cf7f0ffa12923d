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

// Lacksf makes an error that says what the host lacks, and how to get it.
func Lacksf(format string, args ...any) error {
	return &missing{fmt.Errorf(format, args...)}
}

// missing is what the host lacks that is no program.
type missing struct{ error }

// HostLacks marks the error as the host's lack.
func (*missing) HostLacks() bool { return true }
func (e *missing) Unwrap() error { return e.error }

// OneLine makes the output of a program fit into an error message.
func OneLine(out []byte) string {
	return strings.Join(strings.Fields(string(out)), " ")
}

const (
	maxSaid  = 3   // lines of a tool that are repeated
	maxWidth = 400 // characters of them
)

// shortened makes the complaints of a program fit into an error message: tar has one
// for each file that finds no room on a full disk.
func shortened(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	said := OneLine([]byte(strings.Join(lines[:min(len(lines), maxSaid)], " ")))
	if len(said) > maxWidth {
		said = strings.ToValidUTF8(said[:maxWidth], "") + "…"
	}
	if more := len(lines) - maxSaid; more > 0 {
		said += fmt.Sprintf(" (and %d more lines)", more)
	}
	return strings.TrimSuffix(said, ".") // a sentence goes on
}
