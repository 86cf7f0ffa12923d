package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/image"
)

// IsDirectory tells whether a kernel is named by the directory that has it. What is a name or
// a version stays one: ./5.10 is the directory.
func IsDirectory(name string) bool {
	if IsFile(name) {
		return false
	}
	if _, known := seriesNamed(name); known || versionLike.MatchString(name) {
		return false
	}
	st, err := os.Stat(name)
	return errors.Is(err, fs.ErrPermission) || err == nil && st.IsDir()
}

// FromDirectory returns the kernel in a directory, which is booted where it is: one that was
// built there ('make'), or one that was installed there with its modules ('make
// modules_install', 'make tar-pkg'). The store gets what has to be made of it, and makes it
// again whenever the kernel was built again: the image unpacked, the modules as links with
// what depmod tells of them.
func (s *Store) FromDirectory(ctx context.Context, name string) (Kernel, error) {
	dir, err := filepath.Abs(name)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	var t *tree
	if err == nil {
		t, err = findTree(dir, s.log())
	}
	if err == nil {
		err = stockKernel{t.release, "0"}.check()
	}
	if err != nil {
		return Kernel{}, host.Usagef("--kernel %s: %v", name, err)
	}
	made, err := s.makeOf(ctx, t)
	if err != nil {
		return Kernel{}, err
	}
	k := Kernel{Release: t.release, Image: t.image, Modules: t.modules, config: t.config}
	if unpacked := filepath.Join(made, "vmlinux"); exists(unpacked) {
		k.Image = unpacked
	}
	if k.Modules == "" {
		k.Modules = filepath.Join(made, "lib/modules", t.release)
		k.LinksTo = t.root
	}
	if k.config == "" {
		k.config = filepath.Join(made, configFile)
	}
	return k, nil
}

const (
	directoriesDir = "directories" // in the store
	madeFile       = "made.json"   // a madeOf
)

// madeOf tells what the store made something of.
type madeOf struct {
	Directory string
	Sum       string // of the sizes and times of the files
}

// makeOf makes what the store has of a tree, unless it has it.
func (s *Store) makeOf(ctx context.Context, t *tree) (dir string, err error) {
	sum, err := t.sum()
	if err != nil {
		return "", host.Usagef("%s: %v", t.dir, err)
	}
	of := madeOf{Directory: t.dir, Sum: sum}
	where := sha256.Sum256([]byte(t.dir))
	dir = filepath.Join(s.Dir, directoriesDir, keyOf([]string{hex.EncodeToString(where[:])}))
	if readMade(dir) == of {
		return dir, nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if readMade(dir) == of {
		return dir, nil
	}
	if err := wantRoom(s.Dir, preparedBytes, "what is made of the kernel in "+t.dir); err != nil {
		return "", err
	}
	if err := MakeDir(filepath.Dir(dir)); err != nil {
		return "", err
	}
	if err := s.dropOfLost(); err != nil {
		return "", err
	}
	return dir, s.add(ctx, func(w *workshop) (string, error) {
		w.log.Infof("preparing kernel %s in %s", t.release, t.dir)
		if err := t.makeIn(ctx, w); err != nil {
			return "", err
		}
		raw, err := json.Marshal(of)
		if err == nil {
			err = os.WriteFile(filepath.Join(w.kernel(), madeFile), raw, 0o644)
		}
		if err != nil {
			return "", err
		}
		if err := os.Rename(dir, filepath.Join(w.dir, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return dir, nil
	})
}

// readMade is empty where there is nothing, or nothing whole.
func readMade(dir string) madeOf {
	var of madeOf
	raw, err := os.ReadFile(filepath.Join(dir, madeFile))
	if err != nil || json.Unmarshal(raw, &of) != nil {
		return madeOf{}
	}
	return of
}

// dropOfLost removes what was made of directories that are no more. The caller holds the lock.
func (s *Store) dropOfLost() error {
	entries, err := filepath.Glob(filepath.Join(s.Dir, directoriesDir, "*"))
	if err != nil {
		return err
	}
	for _, dir := range entries {
		if isDir(readMade(dir).Directory) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return cacheError(s.Dir, err)
		}
	}
	return nil
}

// sum is another one whenever a file that something is made of is another one.
func (t *tree) sum() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "1 %q %q %q %t %q\n", t.dir, t.release, t.modules, t.elf, t.config)
	fmt.Fprintf(h, "%q\n", t.order)
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(t.links))...) {
		path := t.image
		if name != "" {
			path = t.links[name]
		}
		st, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %q %d %d\n", name, path, st.Size(), st.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// makeIn makes in the workshop what cannot be used as it is in the tree.
func (t *tree) makeIn(ctx context.Context, w *workshop) error {
	dir := w.kernel()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if t.modules == "" {
		if err := t.linkModules(filepath.Join(dir, "lib/modules", t.release)); err != nil {
			return err
		}
		if _, err := host.Depmod.RunAs(ctx, host.Call{Held: w.held}, "-b", dir, t.release); err != nil {
			return err
		}
	}
	unpacked := t.image
	if !t.elf {
		unpacked = filepath.Join(dir, "vmlinux")
		if err := image.Unpack(ctx, t.image, unpacked); err != nil {
			if ctx.Err() != nil || errors.Is(err, unix.ENOSPC) {
				return err
			}
			w.log.Infof("kernel %s will unpack itself at each boot: %v", t.release, err)
			return nil
		}
	}
	if t.config != "" {
		return nil
	}
	config, err := image.Config(unpacked)
	if len(config) == 0 || err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, configFile), config, 0o644)
}

// linkModules makes the kernel's directory of modules out of links.
func (t *tree) linkModules(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.links)) {
		link := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(t.links[name], link); err != nil {
			return err
		}
	}
	if t.order == nil {
		return nil
	}
	order := strings.Join(append(slices.Clone(t.order), ""), "\n")
	return os.WriteFile(filepath.Join(dir, "modules.order"), []byte(order), 0o644)
}
