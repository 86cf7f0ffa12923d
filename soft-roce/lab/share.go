package lab

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// QEMU's names for what the guest says of a file (hw/9pfs/9p-xattr.h).
const (
	virtfs     = "user.virtfs."
	virtfsMode = virtfs + "mode"
)

// isMapped tells whether the guest's attributes of files in a shared directory are kept
// beside them: where the lab is root, a kernel of unknown origin could make setuid programs
// and device nodes of the host otherwise. It takes a file system with attributes.
func isMapped(dir string, log logrus.FieldLogger) bool {
	if os.Geteuid() != 0 {
		return false
	}
	const trial = virtfs + "trial"
	err := unix.Setxattr(dir, trial, nil, 0)
	if err == nil {
		err = unix.Removexattr(dir, trial)
	}
	if err != nil {
		log.Warnf("lab: %s is on a file system without attributes (%v), so that root of the guest can make setuid programs and device nodes there; share a directory on another one", dir, err)
	}
	return err == nil
}

// unmap makes plain files of those that the guest left: with the permissions that it gave
// them, but no setuid bit and no owner; symbolic links are made if they lead nowhere out of
// the directory. Other nodes stay empty files.
func unmap(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var failed error
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			failed = errors.Join(failed, err)
			return nil
		}
		if entry.Type() != 0 && !entry.IsDir() {
			return nil // the host's own link or node
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := unmapFile(root, path, name); err != nil && failed == nil {
			failed = err
		}
		return nil
	})
	return errors.Join(failed, err)
}

// maxTarget is PATH_MAX.
const maxTarget = 4096

func unmapFile(root *os.Root, path, name string) error {
	var raw [4]byte
	n, err := unix.Lgetxattr(path, virtfsMode, raw[:])
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil // the guest did not make it
	} else if err != nil {
		return &fs.PathError{Op: "read the attributes of", Path: path, Err: err}
	}
	for _, attr := range []string{"uid", "gid", "mode", "rdev"} {
		if err := unix.Lremovexattr(path, virtfs+attr); err != nil && !errors.Is(err, unix.ENODATA) {
			return &fs.PathError{Op: "remove the attributes of", Path: path, Err: err}
		}
	}
	if n != len(raw) {
		return nil
	}
	mode := binary.LittleEndian.Uint32(raw[:])
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return root.Chmod(name, fs.FileMode(mode).Perm())
	case unix.S_IFLNK:
		st, err := root.Lstat(name)
		if err != nil || st.Size() >= maxTarget {
			return err
		}
		target, err := root.ReadFile(name)
		if err != nil || !filepath.IsLocal(filepath.Join(filepath.Dir(name), string(target))) || filepath.IsAbs(string(target)) {
			return err
		}
		return errors.Join(root.Remove(name), root.Symlink(string(target), name))
	}
	return nil
}
