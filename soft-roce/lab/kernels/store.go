package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// PackageDirEnv names a directory of package files that is looked in before the
// mirror.
const PackageDirEnv = "UMEMSTRESS_KERNEL_DIR"

// Store keeps kernels ready to boot:
//
//	<dir>/<release>_<version>/         vmlinuz, config, lib/modules/<release>, …
//	<dir>/by-name/<name>            -> what a series' name was last resolved to
//
// A kernel appears in it complete, by a rename, and is never changed.
type Store struct {
	Dir        string
	PackageDir string // package files; empty: none

	mirror packageSource
}

// packageSource finds and fetches packages of kernels.
type packageSource interface {
	// list lists the kernels in the suites that are called name.
	list(ctx context.Context, suites []string, name string) ([]stockKernel, error)
	// fetch downloads the packages that make up the kernel into dir.
	fetch(ctx context.Context, stock stockKernel, dir string) ([]string, error)
}

// DefaultStore is the store in CacheDir, with the mirror of this machine's apt.
func DefaultStore() (*Store, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	return &Store{
		Dir:        filepath.Join(cache, storeDir),
		PackageDir: os.Getenv(PackageDirEnv),
		mirror:     &apt{dir: filepath.Join(cache, "apt")},
	}, nil
}

// Find returns the kernel called name: a series (5.10, 6.1, 6.12, trixie, sid), a
// release or version, or the path of a package file. A kernel that is in the
// store costs no look at the mirror.
func (s *Store) Find(ctx context.Context, name string) (Kernel, error) {
	if strings.HasSuffix(name, ".deb") {
		return s.fromPackageFile(ctx, name)
	}
	if _, err := suitesFor(name); err != nil {
		return Kernel{}, err
	}
	if s.PackageDir != "" {
		path, err := s.packageFile(name)
		if err != nil {
			return Kernel{}, err
		}
		if path != "" {
			return s.fromPackageFile(ctx, path)
		}
	}
	k, err := s.Cached(name)
	if err != nil || k.Release != "" {
		return k, err
	}
	return s.Fetch(ctx, name)
}

// Cached returns the kernel called name if it is in the store, and otherwise one
// without a Release.
func (s *Store) Cached(name string) (Kernel, error) {
	if _, ok := seriesNamed(name); ok {
		k, err := s.load(filepath.Join(s.Dir, byName, name))
		if errors.Is(err, fs.ErrNotExist) {
			return Kernel{}, nil
		}
		return k, err
	}
	var found []stockKernel
	dirs := map[stockKernel]string{}
	paths, err := filepath.Glob(filepath.Join(s.Dir, "*", kernelFile))
	if err != nil {
		return Kernel{}, err
	}
	for _, path := range paths {
		stock, err := readStock(filepath.Dir(path))
		if err != nil {
			return Kernel{}, err
		}
		if stock.is(name) {
			found = append(found, stock)
			dirs[stock] = filepath.Dir(path)
		}
	}
	stock, ok, err := newest(found)
	if err != nil || !ok {
		return Kernel{}, err
	}
	return s.load(dirs[stock])
}

// Fetch gets the newest kernel called name from the mirror, unless the store has
// that one already.
func (s *Store) Fetch(ctx context.Context, name string) (Kernel, error) {
	suites, err := suitesFor(name)
	if err != nil {
		return Kernel{}, err
	}
	logrus.Infof("looking for kernel %s in %s", name, strings.Join(suites, ", "))
	found, err := s.look(ctx, suites, name)
	if err != nil {
		return Kernel{}, err
	}
	stock, ok, err := newest(found)
	if err != nil {
		return Kernel{}, err
	}
	if !ok {
		return Kernel{}, host.Usagef("no kernel %s in %s", name, strings.Join(suites, ", "))
	}
	dir := filepath.Join(s.Dir, stock.Release+"_"+stock.Version)
	err = s.addOnce(ctx, dir, stock, func(tmp string) ([]string, error) {
		logrus.Infof("fetching kernel %s (%s)", stock.Release, stock.Version)
		return s.mirror.fetch(ctx, stock, tmp)
	})
	if err != nil {
		return Kernel{}, err
	}
	if _, ok := seriesNamed(name); ok {
		if err := s.remember(ctx, name, dir); err != nil {
			return Kernel{}, err
		}
	}
	return s.load(dir)
}

// look asks the mirror, one process at a time: apt-get refuses to read lists that
// another one is reading.
func (s *Store) look(ctx context.Context, suites []string, name string) ([]stockKernel, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.mirror.list(ctx, suites, name)
}

// remember makes name mean the kernel in dir.
func (s *Store) remember(ctx context.Context, name, dir string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	link := filepath.Join(s.Dir, byName, name)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.Dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Symlink(filepath.Join("..", filepath.Base(dir)), filepath.Join(tmp, name)); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tmp, name), link)
}

const (
	storeDir        = "kernels" // in the cache
	byName          = "by-name"
	kernelFile      = "kernel.json"         // a stockKernel
	bootModulesFile = "boot-modules-2.cpio" // its number changes with its layout
)

func readStock(dir string) (stockKernel, error) {
	raw, err := os.ReadFile(filepath.Join(dir, kernelFile))
	if err != nil {
		return stockKernel{}, err
	}
	stock, err := parseStock(raw)
	if err != nil {
		return stock, fmt.Errorf("%s: %w; delete the directory to have the kernel fetched again", dir, err)
	}
	return stock, nil
}

func parseStock(raw []byte) (stockKernel, error) {
	var stock stockKernel
	if err := json.Unmarshal(raw, &stock); err != nil {
		return stock, err
	}
	return stock, stock.check()
}

func (s *Store) load(dir string) (Kernel, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Kernel{}, err
	}
	stock, err := readStock(dir)
	if err != nil {
		return Kernel{}, err
	}
	k := Kernel{
		Release:     stock.Release,
		Image:       filepath.Join(dir, "vmlinux"),
		Modules:     filepath.Join(dir, "lib/modules", stock.Release),
		BootModules: filepath.Join(dir, bootModulesFile),
	}
	// An older lab laid the archive out differently.
	if err := prepareBootModules(k.BootModules, k.Modules); err != nil {
		return Kernel{}, err
	}
	if _, err := os.Stat(k.Image); errors.Is(err, fs.ErrNotExist) {
		k.Image = filepath.Join(dir, "vmlinuz")
	}
	return k, nil
}

// lock keeps other processes from adding kernels.
func (s *Store) lock(ctx context.Context) (unlock func() error, err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", s.Dir, err)
		}
		if !said {
			logrus.Info("waiting for another process that fetches a kernel")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
