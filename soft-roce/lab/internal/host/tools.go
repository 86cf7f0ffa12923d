package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"umemstress/workload/child"
)

// Tool is a program of the host that the lab calls.
type Tool string

// The tools.
const (
	QEMU     Tool = "qemu-system-x86_64"
	Modprobe Tool = "modprobe"
	Depmod   Tool = "depmod"
	Mke2fs   Tool = "mke2fs"
	Dpkg     Tool = "dpkg"
	DpkgDeb  Tool = "dpkg-deb"
	AptGet   Tool = "apt-get"
	AptCache Tool = "apt-cache"
	XZ       Tool = "xz"
	Shell    Tool = "sh"
	Stty     Tool = "stty"
)

// Package is the package of Debian that has the tool.
func (t Tool) Package() string {
	switch t {
	case QEMU:
		return "qemu-system-x86"
	case Modprobe, Depmod:
		return "kmod"
	case Mke2fs:
		return "e2fsprogs"
	case Dpkg, DpkgDeb:
		return "dpkg"
	case AptGet, AptCache:
		return "apt"
	case XZ:
		return "xz-utils"
	case Shell:
		return "dash"
	case Stty:
		return "coreutils"
	}
	return string(t)
}

// Find finds the tool, also where an ordinary user's PATH does not lead.
func (t Tool) Find() (string, error) {
	if path, err := child.Find(string(t)); err == nil {
		return path, nil
	}
	return "", &lacksError{string(t), t.Package()}
}

// Run runs the tool and returns its output.
func (t Tool) Run(ctx context.Context, args ...string) ([]byte, error) {
	return t.RunIn(ctx, "", args...)
}

// RunIn runs the tool in a working directory.
func (t Tool) RunIn(ctx context.Context, dir string, args ...string) ([]byte, error) {
	path, err := t.Find()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil, t.Failed(err, exit.Stderr)
	}
	return out, err
}

// Failed says that the tool ended with an error. It does not wrap that error, whose
// method ExitCode would make the tool's exit code that of this command.
func (t Tool) Failed(err error, said []byte) error {
	return fmt.Errorf("%s: %s: %s", t, err.Error(), OneLine(said))
}
