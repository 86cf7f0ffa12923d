package lab

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
)

// Readiness is what this machine has for the lab. Nothing was started or changed to
// find it out.
type Readiness struct {
	Needs    []Need        // the programs without which no guest starts
	Cache    string        // where kernels are kept and scratch disks lie
	CacheErr error         // why nothing can be written there
	Kept     []string      // the kernels in the cache, by the names that they were asked for
	Sources  []string      // where others come from
	Emulated *machine.Lack // why guests run in software emulation; nil: KVM is tried with the first one
}

// Need is a program that the lab calls.
type Need struct {
	Program string
	Package string // of Debian, that has it
	Missing bool
}

// FindReadiness looks at this machine.
func FindReadiness() Readiness {
	r := Readiness{
		Needs: []Need{
			findNeed(host.QEMU),
			findNeed(host.Modprobe),
			findNeed(host.Mke2fs),
		},
		Emulated: machine.AccelHost{Proc: "/proc", KVM: machine.KVMDevice}.Lack(),
	}
	if r.Cache, r.CacheErr = kernels.CacheDir(); r.CacheErr != nil {
		return r
	}
	r.CacheErr = cannotWrite(r.Cache)
	if store, err := kernels.DefaultStore(); err == nil {
		r.Kept, r.Sources = store.Kept(), store.Sources()
	}
	return r
}

func findNeed(t host.Tool) Need {
	_, err := t.Find()
	return Need{Program: string(t), Package: t.Package(), Missing: err != nil}
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
