// Package handover answers one question: which program goes on, where a device wants a library
// that this one cannot load? It is the same program, built otherwise, that lies beside this one.
package handover

import (
	"os"
	"path/filepath"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// Program is what goes on: built from the same source with the build tag ibverbs.
const Program = "umemstress-ibverbs"

// For does not return where the device of that name, or the first with an active port, is to be
// reached through a library, or its queue pairs are to be connected by one, and the program is there: it goes on as that, with
// the same arguments. Without the program, opening the device says what is missing; one of another build than this version is refused.
func For(version, device string, backend rdma.Backend, manager bool) error {
	if manager {
		return goOn(version, true)
	}
	if backend == rdma.AutoBackend {
		d, err := rdma.FindDevice(rdma.Sysfs, device)
		if err != nil {
			return nil // who opens it will say so
		}
		backend, _ = backend.Choose(d)
	}
	return goOn(version, backend == rdma.IBVerbs)
}

// ForAny is For of all devices.
func ForAny(version string) error {
	devices, err := rdma.Devices(rdma.Sysfs)
	if err != nil {
		return nil
	}
	for _, d := range devices {
		if backend, _ := rdma.AutoBackend.Choose(d); backend == rdma.IBVerbs {
			return goOn(version, true)
		}
	}
	return nil
}

func goOn(version string, wanted bool) error {
	if rdma.CanLoad || !wanted {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), Program)
	if unix.Access(path, unix.X_OK) != nil {
		return nil
	}
	own, ok := debug.ReadBuildInfo()
	if !ok {
		own = &debug.BuildInfo{}
	}
	if err := ofSameBuild(path, own, version); err != nil {
		return err
	}
	return &os.PathError{Op: "go on as", Path: path, Err: unix.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ())}
}
