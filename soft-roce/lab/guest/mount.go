package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// mountEarly gives init what it needs to load modules and find devices.
func mountEarly() error {
	return mountAll([]mount{
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"devtmpfs", "/dev", "devtmpfs", 0, ""},
	})
}

const (
	hostDir    = "/host"    // the host's tree, read-only
	scratchDir = "/scratch" // the scratch disk
	upperDir   = scratchDir + "/upper"
	workDir    = scratchDir + "/work"
	tmpDir     = scratchDir + "/tmp"
	newRoot    = "/root" // the overlay of the two
)

// msize is the greatest 9p message of virtio's transport in 5.10: 128
// descriptors of a page each.
const msize = 512 << 10

// mountHost mounts the host's tree.
func mountHost() error {
	if err := loadStage(proto.StageHost); err != nil {
		return err
	}
	return mount{proto.RootTag, hostDir, "9p", unix.MS_RDONLY, p9Data("loose")}.do()
}

func p9Data(cache string) string {
	return fmt.Sprintf("trans=virtio,version=9p2000.L,msize=%d,cache=%s", msize, cache)
}

// mountScratch mounts the scratch disk and makes its directories.
func mountScratch() error {
	if err := loadStage(proto.StageScratch); err != nil {
		return err
	}
	disk, err := blockDevice("/sys", proto.ScratchSerial)
	if err != nil {
		return err
	}
	if err := (mount{disk, scratchDir, "ext4", 0, ""}).do(); err != nil {
		return err
	}
	for _, dir := range []string{upperDir, workDir, tmpDir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// As on any host: everyone may create, and only the owner delete.
	return os.Chmod(tmpDir, 0o1777)
}

// switchRoot makes the overlay the root and mounts the kernel's file systems in
// it. The host's own /proc, /sys, /dev and /run are hidden by the guest's.
func switchRoot(s *proto.Spec) error {
	at := func(path string) string { return filepath.Join(newRoot, path) }
	mounts := []mount{
		{"overlay", newRoot, "overlay", 0, "lowerdir=" + hostDir + ",upperdir=" + upperDir + ",workdir=" + workDir},
		{"proc", at("/proc"), "proc", 0, ""},
		{"sysfs", at("/sys"), "sysfs", 0, ""},
		{"devtmpfs", at("/dev"), "devtmpfs", 0, ""},
		{"tmpfs", at("/dev/shm"), "tmpfs", 0, "mode=1777"},
		{"devpts", at("/dev/pts"), "devpts", 0, "ptmxmode=0666"},
		{"tmpfs", at("/run"), "tmpfs", 0, "mode=755"},
		{tmpDir, at(proto.GuestTmp), "", unix.MS_BIND, ""},
		{filepath.Join(hostDir, s.Modules), at("/lib/modules/" + s.Release), "", unix.MS_BIND, ""},
		{"debugfs", at("/sys/kernel/debug"), "debugfs", 0, ""},
		{"tracefs", at("/sys/kernel/tracing"), "tracefs", 0, ""},
		{"bpf", at("/sys/fs/bpf"), "bpf", 0, ""},
		{"cgroup2", at("/sys/fs/cgroup"), "cgroup2", 0, ""},
	}
	if isHidden(s.LinksTo, mounts) {
		mounts = append(mounts, mount{filepath.Join(hostDir, s.LinksTo), at(s.LinksTo), "", unix.MS_BIND, ""})
	}
	for _, sh := range s.Shares {
		mounts = append(mounts, mount{sh.Tag, at(sh.Path), "9p", 0, p9Data("none")})
	}
	if err := mountAll(mounts); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range s.Loaded {
		if seen[f.Path] {
			continue
		}
		seen[f.Path] = true
		if err := unix.Mount(f.Name, at(f.Path), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", f.Path, err)
		}
	}
	return chrootTo(newRoot)
}

// isHidden tells whether one of the mounts in the new root hides a path of the host's tree.
func isHidden(path string, mounts []mount) bool {
	return path != "" && slices.ContainsFunc(mounts, func(m mount) bool {
		return m.target != newRoot && strings.HasPrefix(newRoot+path+"/", m.target+"/")
	})
}

// chrootTo leaves the initramfs as switch_root does: an initramfs cannot be
// pivoted away, so what is not needed any more is deleted and the new root is
// moved over it.
func chrootTo(root string) error {
	for _, path := range []string{proto.SpecPath, proto.ModulesPath} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// blockDevice finds the virtio disk with a serial number. The name vda is not
// taken for granted, since --append and modules may bring other disks.
func blockDevice(sys, serial string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(sys, "block/vd*/serial"))
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if strings.TrimSpace(string(raw)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", errors.New("there is no scratch disk")
}
