package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// KVMDevice is where the CPU is asked to run guests.
const KVMDevice = "/dev/kvm"

// Readiness is what this machine has for the lab. Nothing was started or changed to
// find it out.
type Readiness struct {
	Needs    []Need   // the programs without which no guest starts
	Cache    string   // where kernels are kept and scratch disks lie
	CacheErr error    // why nothing can be written there
	Kept     []string // the kernels in the cache, by the names that they were asked for
	Sources  []string // where others come from
	Emulated *Lack    // why guests run in software emulation; nil: KVM is tried with the first one
}

// Need is a program that the lab calls.
type Need struct {
	Program string
	Package string // of Debian, that has it
	Missing bool
}

// Lack says why something is not to be had, and how to get it.
type Lack struct{ Reason, Remedy string }

// FindReadiness looks at this machine.
func FindReadiness() Readiness {
	r := Readiness{
		Needs: []Need{
			findNeed("qemu-system-x86_64", "qemu-system-x86"),
			findNeed("modprobe", "kmod"),
			findNeed("mke2fs", "e2fsprogs"),
		},
		Emulated: accelHost{proc: "/proc", kvm: KVMDevice}.lack(),
	}
	if r.Cache, r.CacheErr = CacheDir(); r.CacheErr != nil {
		return r
	}
	r.CacheErr = cannotWrite(r.Cache)
	if store, err := DefaultStore(); err == nil {
		r.Kept, r.Sources = store.kept(), store.sources()
	}
	return r
}

func findNeed(program, pkg string) Need {
	_, err := findTool(program, pkg)
	return Need{Program: program, Package: pkg, Missing: err != nil}
}

// lack says why KVM is not worth a trial.
func (h accelHost) lack() *Lack {
	cpuinfo, err := os.ReadFile(filepath.Join(h.proc, "cpuinfo"))
	if err != nil {
		return &Lack{err.Error(), ""}
	}
	if !hasVirtualization(string(cpuinfo)) {
		return &Lack{"the CPU has neither vmx nor svm", "virtualization in the firmware, or nested virtualization"}
	}
	f, err := os.OpenFile(h.kvm, os.O_RDWR, 0)
	if err != nil {
		return &Lack{err.Error(), "modprobe kvm_intel or kvm_amd, and the group kvm for this user"}
	}
	f.Close()
	return nil
}

// cannotWrite says why no file can be made in the directory. What does not exist yet
// will be made below the first directory that does.
func cannotWrite(dir string) error {
	for dir != filepath.Dir(dir) && errors.Is(unix.Access(dir, unix.F_OK), unix.ENOENT) {
		dir = filepath.Dir(dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// kept are the names that were resolved to a kernel of the store.
func (s *Store) kept() []string {
	links, err := os.ReadDir(filepath.Join(s.Dir, "by-name"))
	if err != nil {
		return nil // nothing was ever fetched
	}
	var names []string
	for _, link := range links {
		if !strings.HasPrefix(link.Name(), ".") {
			names = append(names, link.Name())
		}
	}
	return names
}

// sources are where the store can get kernels from that it does not have.
func (s *Store) sources() []string {
	var found []string
	for _, program := range []string{"dpkg-deb", "depmod"} {
		if findNeed(program, "").Missing {
			return nil
		}
	}
	if s.PackageDir != "" {
		found = append(found, "package files in $"+KernelDirEnv)
	}
	if !findNeed("apt-get", "").Missing {
		found = append(found, "the mirror of this machine's apt")
	}
	return found
}
