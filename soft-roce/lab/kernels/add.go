package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/image"
)

// workshop is a directory of the store in which a kernel is made. It is locked by an open
// directory that the tools inherit: as long as one of them runs, which its own parent may
// not outlive, the lock is held.
type workshop struct {
	dir  string
	held *os.File
	log  logrus.FieldLogger
}

const newPrefix = ".new-"

// add has a kernel made, and puts it where make says. The caller holds the lock.
func (s *Store) add(ctx context.Context, make func(*workshop) (dir string, err error)) (err error) {
	if err := s.sweep(); err != nil {
		return err
	}
	w, err := s.newWorkshop()
	if err != nil {
		return cacheError(s.Dir, err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	dir, err := make(w)
	if err != nil {
		return cacheError(s.Dir, err)
	}
	return os.Rename(w.kernel(), dir)
}

func (s *Store) newWorkshop() (*workshop, error) {
	dir, err := os.MkdirTemp(s.Dir, newPrefix)
	if err != nil {
		return nil, err
	}
	w := &workshop{dir: dir, log: s.log()}
	if w.held, err = os.Open(dir); err == nil {
		err = unix.Flock(int(w.held.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *workshop) close() error {
	err := os.RemoveAll(w.dir)
	if w.held != nil {
		w.held.Close()
	}
	return err
}

// sweep removes what dead processes left, but for what one of their tools still writes to:
// that is for a later one.
func (s *Store) sweep() error {
	stale, err := filepath.Glob(filepath.Join(s.Dir, newPrefix+"*"))
	if err != nil {
		return err
	}
	for _, old := range stale {
		f, err := os.Open(old)
		if err != nil {
			return err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			err = os.RemoveAll(old)
		} else if errors.Is(err, unix.EWOULDBLOCK) {
			s.log().Debugf("lab: %s is still written to by what a killed process left", old)
			err = nil
		}
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *workshop) tree() string   { return filepath.Join(w.dir, "tree") }   // the packages' files
func (w *workshop) kernel() string { return filepath.Join(w.dir, "kernel") } // what becomes the kernel's directory

// unpack makes the kernel out of its packages.
func (w *workshop) unpack(ctx context.Context, packages []string, stock stockKernel) error {
	if err := w.extract(ctx, packages); err != nil {
		return err
	}
	return w.prepare(ctx, stock)
}

func (w *workshop) extract(ctx context.Context, packages []string) error {
	if err := os.Mkdir(w.tree(), 0o755); err != nil {
		return err
	}
	for _, pkg := range packages {
		if isArchive(pkg) {
			if err := w.extractArchive(ctx, pkg); err != nil {
				return err
			}
			continue
		}
		if _, err := host.DpkgDeb.RunAs(ctx, host.Call{Held: w.held}, "-x", pkg, w.tree()); err != nil {
			return damaged(pkg, "Debian package", err)
		}
	}
	return nil
}

// release finds out what kernel the packages have.
func (w *workshop) release() (string, error) {
	var releases []string
	for _, place := range []struct{ pattern, before, after string }{
		{"boot/vmlinuz-*", "boot/vmlinuz-", ""},
		{"usr/lib/modules/*/vmlinuz", "usr/lib/modules/", "/vmlinuz"},
		{"lib/modules/*/vmlinuz", "lib/modules/", "/vmlinuz"},
	} {
		paths, err := filepath.Glob(filepath.Join(w.tree(), place.pattern))
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			path, err := filepath.Rel(w.tree(), path)
			if err != nil {
				return "", err
			}
			release := strings.TrimSuffix(strings.TrimPrefix(path, place.before), place.after)
			if !slices.Contains(releases, release) {
				releases = append(releases, release)
			}
		}
	}
	switch len(releases) {
	case 0:
		return "", errors.New("no image of a kernel is in it (boot/vmlinuz-RELEASE); where a kernel is split, give all of its packages: --kernel IMAGE.deb,MODULES.deb")
	case 1:
		return releases[0], nil
	}
	return "", fmt.Errorf("the images of several kernels are in it, %s; give the packages of one", strings.Join(releases, ", "))
}

// prepare makes a kernel's directory out of the files of its packages.
func (w *workshop) prepare(ctx context.Context, stock stockKernel) error {
	dir := w.kernel()
	if err := os.MkdirAll(filepath.Join(dir, "lib/modules"), 0o755); err != nil {
		return err
	}
	// Debian moved the modules under /usr in trixie, and the image and the
	// configuration among the modules in 7.x.
	modules := filepath.Join("lib/modules", stock.Release)
	if err := w.mergeModules(modules); err != nil {
		return err
	}
	for _, part := range []struct {
		to       string
		from     []string
		optional bool
	}{
		{to: "vmlinuz", from: []string{"boot/vmlinuz-" + stock.Release, modules + "/vmlinuz"}},
		{to: configFile, from: []string{"boot/config-" + stock.Release, modules + "/config"}, optional: true},
		{to: modules, from: []string{modules}, optional: true},
	} {
		if err := w.moveFirst(part.from, filepath.Join(dir, part.to)); err != nil && !part.optional {
			return err
		}
	}
	if err := w.wantModules(modules); err != nil {
		return err
	}
	// A directory of mode 0700, as MkdirTemp makes it, would hide the kernel
	// from the guest of another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if _, err := host.Depmod.RunAs(ctx, host.Call{Held: w.held}, "-b", dir, stock.Release); err != nil {
		return err
	}
	err := prepareBootModules(filepath.Join(dir, bootModulesFile), filepath.Join(dir, "lib/modules", stock.Release), filepath.Join(dir, configFile), w.log)
	if err != nil {
		return err
	}
	if err := image.Unpack(ctx, filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "vmlinux")); err != nil {
		if ctx.Err() != nil || errors.Is(err, unix.ENOSPC) {
			return err
		}
		w.log.Infof("kernel %s will unpack itself at each boot: %v", stock.Release, err)
	}
	raw, err := json.Marshal(stock)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, kernelFile), raw, 0o644)
}

// wantModules makes an empty directory for a kernel that is known to have everything built in,
// and refuses another one without modules.
func (w *workshop) wantModules(modules string) error {
	if isDir(filepath.Join(w.kernel(), modules)) {
		return nil
	}
	c, err := readConfig(filepath.Join(w.kernel(), configFile))
	if err != nil {
		return err
	}
	if c.known() && !c.hasModules() {
		return os.Mkdir(filepath.Join(w.kernel(), modules), 0o755)
	}
	return noneOf(modules)
}

// mergeModules has the modules below /lib alone. A package that is signed on its own has
// them in one place, and one that it is split into may have them in the other.
func (w *workshop) mergeModules(modules string) error {
	to := filepath.Join(w.tree(), modules)
	from := filepath.Join(w.tree(), "usr", modules)
	if !isDir(from) {
		return nil
	}
	if !isDir(to) {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return os.Rename(path, filepath.Join(to, rel))
	})
}

// moveFirst moves the first of the paths of the packages that exists.
func (w *workshop) moveFirst(paths []string, to string) error {
	for _, path := range paths {
		err := os.Rename(filepath.Join(w.tree(), path), to)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return noneOf(paths...)
}

func noneOf(paths ...string) error {
	return host.Usagef("the packages have none of %s; where a kernel is split, give all of its packages: --kernel IMAGE.deb,MODULES.deb", strings.Join(paths, ", "))
}
