package kernels

import (
	"errors"
	"fmt"

	"umemstress/soft-roce/lab/internal/host"
)

// SumError says that a package file is not the one that the SHA256SUMS beside it
// tells of.
type SumError struct {
	Path      string
	Got, Want string // SHA-256
}

func (e *SumError) Error() string {
	return fmt.Sprintf("lab: check %s: its SHA-256 is %s, and SHA256SUMS says %s", e.Path, e.Got, e.Want)
}

// ExitCode is the exit code of a command that failed with this error.
func (e *SumError) ExitCode() int { return host.ExitNoGuest }

var errNoMirror = &noMirrorError{errors.New("apt of this host has no mirror of Debian configured and read: " +
	"add one and run 'apt-get update', or give a package file with --kernel FILE.deb")}

type noMirrorError struct{ error }

// HostLacks marks the error as the host's lack.
func (*noMirrorError) HostLacks() bool { return true }
