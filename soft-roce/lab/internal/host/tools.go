package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

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
	DpkgDeb  Tool = "dpkg-deb"
	AptGet   Tool = "apt-get"
	AptCache Tool = "apt-cache"
	XZ       Tool = "xz"
	Tar      Tool = "tar"
	Shell    Tool = "sh"
	Stty     Tool = "stty"

	Git        Tool = "git"
	Make       Tool = "make"
	Patch      Tool = "patch"
	DpkgSource Tool = "dpkg-source"
	Spatch     Tool = "spatch"
	GCC        Tool = "gcc"
	Ld         Tool = "ld"
	Bc         Tool = "bc"
	Bison      Tool = "bison"
	Flex       Tool = "flex"
	Pahole     Tool = "pahole"
	Perl       Tool = "perl"
	Ccache     Tool = "ccache"
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
	case DpkgDeb:
		return "dpkg"
	case AptGet, AptCache:
		return "apt"
	case XZ:
		return "xz-utils"
	case Shell:
		return "dash"
	case Stty:
		return "coreutils"
	case DpkgSource:
		return "dpkg-dev"
	case Spatch:
		return "coccinelle"
	case Ld:
		return "binutils"
	case Pahole:
		return "dwarves"
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

// Call is how a tool is run. The zero value will do.
type Call struct {
	Dir  string   // working directory
	Held *os.File // held open, as descriptor 3, by the tool and by what it starts
	Env  []string // added to the caller's environment
	In   io.Reader
	Out  io.Writer // in place of the result
	Err  io.Writer // has what the tool complains of, too
}

// Run runs the tool and returns its output.
func (t Tool) Run(ctx context.Context, args ...string) ([]byte, error) {
	return t.RunAs(ctx, Call{}, args...)
}

// RunAs runs the tool as the call says. When ctx is done, the tool and all that it has
// started are killed, and the error is the context's cause.
func (t Tool) RunAs(ctx context.Context, call Call, args ...string) ([]byte, error) {
	path, err := t.Find()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdin = call.Dir, call.In
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), call.Env...)
	if call.Held != nil {
		cmd.ExtraFiles = []*os.File{call.Held}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if call.Out != nil {
		cmd.Stdout = call.Out
	}
	if call.Err != nil {
		cmd.Stderr = io.MultiWriter(&stderr, call.Err)
	}
	err = runBound(cmd)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if errors.As(err, new(*exec.ExitError)) {
		return stdout.Bytes(), t.Failed(err, stderr.Bytes())
	}
	return stdout.Bytes(), err
}

// ToolError says that a tool ended with an error. It does not wrap that error, whose
// method ExitCode would make the tool's exit code that of this command.
type ToolError struct {
	Tool Tool
	End  string // such as "exit status 2"
	Said string // the first lines of what the tool complained of, and how many followed
	full bool
}

func (e *ToolError) Error() string { return fmt.Sprintf("%s: %s: %s", e.Tool, e.End, e.Said) }

// Is tells whether the tool met a full disk.
func (e *ToolError) Is(target error) bool { return e.full && target == unix.ENOSPC }

// Failed makes the tool's error.
func (t Tool) Failed(err error, said []byte) error {
	return &ToolError{t, err.Error(), shortened(said), bytes.Contains(said, []byte("No space left on device"))}
}
