package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"umemstress/probes/lockdown"
)

// A LacksError says what the host lacks for the probes, and how to get it.
type LacksError struct {
	What        string
	Remedy      string
	Attachments []Attachment // the hooks tried, if it came to that
	Err         error        // what the kernel said, if it said anything
}

func (e *LacksError) Error() string {
	text := "probes: " + e.What
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		text += " (" + e.Remedy + ")"
	}
	return text
}

func (e *LacksError) Unwrap() error { return e.Err }

// HostLacks marks the error as the host's and not the program's.
func (e *LacksError) HostLacks() bool { return true }

// An optionError is a value of Options that cannot be used.
type optionError string

func (e optionError) Error() string { return "probes: " + string(e) }

// Usage marks the error as the caller's.
func (e optionError) Usage() bool { return true }

const (
	remedyPrivilege = "run it as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE, before Linux 5.8 CAP_SYS_ADMIN"
	remedyEvenRoot  = "root is refused where kernel lockdown is on, or in a container without CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"
	remedyBTF       = "it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distribution kernels since about 5.10 are; or 'umemstress observe --btf FILE', with the types of this very kernel from a file"
	remedyBPF       = "it takes Linux 5.8 or newer with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_JIT=y"
)

func privilegeRemedy() string {
	if os.Geteuid() == 0 {
		return remedyEvenRoot
	}
	return remedyPrivilege
}

// lacks explains an error of the bpf system call. What the kernel refuses for
// another reason is no lack, but a defect of ours, and stays as it is.
func lacks(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && os.Geteuid() != 0:
		return &LacksError{What: what + ": not permitted", Remedy: privilegeRemedy(), Err: err}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, ebpf.ErrNotSupported):
		return &LacksError{What: what + ": the kernel cannot", Remedy: remedyBPF, Err: err}
	}
	return fmt.Errorf("probes: %s: %w", what, err)
}

// missing explains that a required hook could not be attached anywhere.
func missing(h hook, a Attachment, all []Attachment, sysfs fs.FS) error {
	e := &LacksError{
		What:        fmt.Sprintf("cannot watch for %q, so %s", h.purpose, h.without),
		Attachments: all,
	}
	if lockdown.Confidential(sysfs) {
		e.What, e.Remedy = reasonLockdown, lockdown.Remedy
		return e
	}
	absent := false
	var reasons []string
	// Sites of other kernels may fail in other ways, as what their programs
	// read need not exist.
	for _, d := range a.Denied {
		if d.Method != Kprobe {
			continue
		}
		reasons = append(reasons, d.String())
		absent = absent || d.Reason == reasonNoFunction
	}
	if _, err := fs.Stat(sysfs, "module/"+h.module); absent && h.module != "" && errors.Is(err, fs.ErrNotExist) {
		e.What += ": module " + h.module + " is not loaded"
		e.Remedy = "load it with modprobe " + h.module
		return e
	}
	e.What += ": " + strings.Join(reasons, "; ")
	if absent {
		e.Remedy = "this kernel has none of the functions known to umemstress; please report it with the kernel's version"
	} else {
		e.Remedy = "kprobes take CONFIG_KPROBES=y and CONFIG_BPF_EVENTS=y, and are denied by kernel lockdown"
	}
	return e
}
