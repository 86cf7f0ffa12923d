package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tool is a program of the host that the lab calls.
type Tool string

// The tools, and the packages of Debian that have them.
const (
	ToolQEMU     Tool = "qemu-system-x86_64"
	ToolModprobe Tool = "modprobe"
	ToolDepmod   Tool = "depmod"
	ToolMke2fs   Tool = "mke2fs"
	ToolDpkg     Tool = "dpkg"
	ToolDpkgDeb  Tool = "dpkg-deb"
	ToolAptGet   Tool = "apt-get"
	ToolAptCache Tool = "apt-cache"
	ToolXZ       Tool = "xz"
	ToolShell    Tool = "sh"
)

// Package is the package of Debian that has the tool.
func (t Tool) Package() string {
	switch t {
	case ToolQEMU:
		return "qemu-system-x86"
	case ToolModprobe, ToolDepmod:
		return "kmod"
	case ToolMke2fs:
		return "e2fsprogs"
	case ToolDpkg, ToolDpkgDeb:
		return "dpkg"
	case ToolAptGet, ToolAptCache:
		return "apt"
	case ToolXZ:
		return "xz-utils"
	case ToolShell:
		return "dash"
	}
	return string(t)
}

// Find finds the tool, also where an ordinary user's PATH does not lead.
func (t Tool) Find() (string, error) {
	if path, err := exec.LookPath(string(t)); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		path := filepath.Join(dir, string(t))
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
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
		return nil, fmt.Errorf("%s: %w: %s", t, err, oneLine(exit.Stderr))
	}
	return out, err
}
