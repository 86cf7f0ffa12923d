package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/internal/program"
)

// scratch is a file system of the run's own: a file without a name, a loop
// device over it that clears itself, and a mount that no mount table shows.
// Each goes away with the last descriptor of this process, however it ends.
type scratch struct {
	kind    filesystem
	huge    io.Closer // the huge pages of a file system that is made of them
	backing *os.File
	loop    *os.File
	root    *os.File // the mount's root directory
}

// newScratch makes and mounts a file system of the given kind with room for a
// file of fileBytes, in a nameless file in directory dir.
func newScratch(ctx context.Context, dir string, kind filesystem, fileBytes int64) (_ *scratch, err error) {
	s := &scratch{kind: kind}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if kind.backing == memory {
		return s, s.mountMemory(fileBytes)
	}
	// mke2fs wants a journal to take no more than half of the blocks.
	if s.backing, err = namelessFile(dir, fileBytes+fileBytes/8+kind.extra+2*kind.journalBytes(fileBytes)); err != nil {
		return nil, err
	}
	if err = kind.make(ctx, s.backing, fileBytes); err != nil {
		return nil, err
	}
	if s.loop, err = attachLoop(s.backing); err != nil || kind.backing == device {
		return s, err
	}
	s.root, err = mountDetached(kind, s.loop.Name())
	return s, err
}

// namelessFile makes a file of the given size that has no name and whose blocks
// are reserved, so that the scratch cannot run out of space half-way.
func namelessFile(dir string, size int64) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // overlayfs before 6.1 (2b1a77461f16)
		if f, err = os.CreateTemp(dir, "umemstress-scratch-*"); err == nil {
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the scratch file in %s: %w; choose another directory with --scratch-dir", dir, err)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reserve %d MiB for the scratch file system in %s: %w; choose another directory with --scratch-dir or a smaller --file-size", size>>20, dir, err)
	}
	return f, nil
}

// make runs the kind's mkfs on the open file, if it has one. The program sees it
// as a descriptor of its own, since it has no name.
func (k filesystem) make(ctx context.Context, f *os.File, fileBytes int64) error {
	if len(k.mkfs) == 0 {
		return nil
	}
	path, err := program.Find(k.mkfs[0])
	if err != nil {
		return lacksf("%s is not installed: apt-get install %s, or give --file PATH", k.mkfs[0], k.pkg)
	}
	options := slices.Clone(k.mkfs[1:])
	if journal := k.journalBytes(fileBytes); journal > 0 {
		options = append(options, "-J", fmt.Sprintf("size=%d", journal>>20))
	}
	cmd := exec.CommandContext(ctx, path, append(options, "/proc/self/fd/3")...)
	cmd.ExtraFiles = []*os.File{f}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s on the scratch file: %w: %s", k.mkfs[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// mountMemory mounts a file system that needs no device.
func (s *scratch) mountMemory(fileBytes int64) (err error) {
	if s.kind.pageBytes > 0 {
		if s.huge, err = reserveHugepages(int(fileBytes / s.kind.pageBytes)); err != nil {
			return err
		}
	}
	s.root, err = mountDetached(s.kind, "umemstress")
	return err
}

// mountDetached mounts a device, or what stands for it, without attaching the
// mount anywhere and returns its root directory, open. The mount lives as long as
// the descriptor or a file opened through it (fsmount(2), Linux 5.2).
func mountDetached(kind filesystem, source string) (*os.File, error) {
	fs, err := unix.Fsopen(kind.fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, lacksf("fsopen %s: %w; mounting the scratch needs root, Linux 5.2 or newer and the module %s; --file PATH needs none of these", kind.fstype, err, kind.fstype)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", source); err != nil {
		return nil, fmt.Errorf("mount %s as %s: source: %w", source, kind.fstype, err)
	}
	for key, value := range kind.mount {
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return nil, fmt.Errorf("mount %s as %s: %s=%s: %w", source, kind.fstype, key, value, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("mount %s as %s: %w; the kernel's log says why", source, kind.fstype, err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return nil, fmt.Errorf("mount %s as %s: fsmount: %w", source, kind.fstype, err)
	}
	return os.NewFile(uintptr(mount), source), nil
}

// create makes the run's file on the scratch, open for reading and writing. On a
// raw block device, that is the device.
func (s *scratch) create() (*target, error) {
	if s.kind.backing == device {
		return newDeviceTarget(s.loop)
	}
	return newTarget(s.root, "region", true)
}

// Close gives the file system, its loop device and its space back.
func (s *scratch) Close() error {
	var errs []error
	for _, f := range []*os.File{s.root, s.loop, s.backing} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if s.huge != nil {
		errs = append(errs, s.huge.Close())
	}
	s.root, s.loop, s.backing, s.huge = nil, nil, nil, nil
	return errors.Join(errs...)
}
