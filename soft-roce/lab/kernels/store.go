package kernels

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
//	<dir>/by-name/<name>            -> what a series' name was last resolved to, or one that was built under the name
//	<dir>/directories/<hash>/          what was made of a kernel that stays where it is
//
// A kernel appears in it complete, by a rename. All that is changed then is the archive of
// its boot modules, which a lab that lays it out otherwise makes anew.
type Store struct {
	Dir        string
	PackageDir string // package files; empty: none

	Log logrus.FieldLogger // what a person may want to know meanwhile; nil: logrus's own logger

	mirror  packageSource
	sources *apt // of source packages
}

// packageSource finds and fetches packages of kernels.
type packageSource interface {
	// list lists the kernels in the suites.
	list(ctx context.Context, suites []string) ([]stockKernel, error)
	// fetch downloads the packages that make up the kernel into dir.
	fetch(ctx context.Context, stock stockKernel, dir string) ([]string, error)
}

// DefaultStore is the store in CacheDir, with the mirror of this machine's apt.
func DefaultStore() (*Store, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	s := &Store{Dir: filepath.Join(cache, storeDir), PackageDir: os.Getenv(PackageDirEnv)}
	s.mirror = &apt{dir: filepath.Join(cache, "apt"), log: s.log}
	s.sources = &apt{dir: filepath.Join(cache, "apt-sources"), sources: true, log: s.log}
	return s, nil
}

func (s *Store) log() logrus.FieldLogger { return host.Log(s.Log) }

// Find returns the kernel called name: a series (5.10, 6.1, 6.12, trixie, sid), a
// release or version, the path of a package file, or the name of one that was built. A kernel that is in the
// store costs no look at the mirror.
func (s *Store) Find(ctx context.Context, name string) (Kernel, error) {
	if IsFile(name) {
		return s.FromPackages(ctx, []string{name})
	}
	if named, ok := seriesNamed(name); ok && named.archive != "" {
		return s.withoutPackages(ctx, named)
	}
	if dir := s.builtDir(name); dir != "" {
		return s.load(dir)
	}
	if _, err := suitesFor(name); err != nil {
		return Kernel{}, err
	}
	if s.PackageDir != "" {
		files, err := s.packageFiles(name)
		if err != nil {
			return Kernel{}, err
		}
		if len(files) > 0 {
			return s.FromPackages(ctx, files)
		}
	}
	k, err := s.Cached(name)
	if err != nil || k.Release != "" {
		return k, err
	}
	return s.Fetch(ctx, name)
}

// Check refuses what no kernel is called, neither here nor on a mirror.
func (s *Store) Check(name string) error {
	if s.builtDir(name) != "" {
		return nil
	}
	_, err := suitesFor(name)
	return err
}

// Cached returns the kernel called name if it is in the store, and otherwise one
// without a Release.
func (s *Store) Cached(name string) (Kernel, error) {
	if _, ok := seriesNamed(name); ok {
		k, err := s.load(filepath.Join(s.Dir, byName, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
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
		if stock.is(name) && (!isBuilt(filepath.Dir(path)) || name == stock.Release) {
			found = append(found, stock)
			dirs[stock] = filepath.Dir(path)
		}
	}
	stock, ok := newest(found)
	if !ok {
		return Kernel{}, nil
	}
	return s.load(dirs[stock])
}

// Fetch gets the newest kernel called name from the mirror, unless the store has
// that one already.
func (s *Store) Fetch(ctx context.Context, name string) (Kernel, error) {
	if named, ok := seriesNamed(name); ok && named.archive != "" {
		return s.withoutPackages(ctx, named)
	}
	suites, err := suitesFor(name)
	if err != nil {
		return Kernel{}, err
	}
	// One process at a time: the lists of one are of other suites than those of another,
	// and apt-get refuses to read lists that another one is reading.
	unlock, err := s.lock(ctx)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	s.log().Infof("looking for kernel %s in %s", name, strings.Join(suites, ", "))
	all, err := s.mirror.list(ctx, suites)
	if err != nil {
		return Kernel{}, cacheError(s.Dir, err)
	}
	stock, ok := newest(slices.DeleteFunc(slices.Clone(all), func(k stockKernel) bool { return !k.is(name) }))
	if !ok {
		return Kernel{}, host.Usagef("no kernel %s in %s, which have %s; older ones can be had as package files: --kernel FILE.deb",
			name, strings.Join(suites, ", "), cmp.Or(offered(all, name), "none"))
	}
	dir := filepath.Join(s.Dir, stock.Release+"_"+stock.Version)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		s.log().Infof("fetching kernel %s (%s)", stock.Release, stock.Version)
		err := s.add(ctx, func(w *workshop) (string, error) {
			packages, err := s.mirror.fetch(ctx, stock, w.dir)
			if err != nil {
				return "", err
			}
			return dir, w.unpack(ctx, packages, stock)
		})
		if err != nil {
			return Kernel{}, err
		}
	}
	if _, ok := seriesNamed(name); ok {
		if err := s.remember(name, dir); err != nil {
			return Kernel{}, err
		}
	}
	return s.load(dir)
}

// remember makes name mean the kernel in dir. The caller holds the lock.
func (s *Store) remember(name, dir string) error {
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
	configFile      = "config"              // as the kernel came with it, if it did
	bootModulesFile = "boot-modules-3.cpio" // its number changes with its layout
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
		config:      filepath.Join(dir, configFile),
	}
	// An older lab laid the archive out differently.
	if err := prepareBootModules(k.BootModules, k.Modules, k.config, s.log()); err != nil {
		return Kernel{}, err
	}
	if _, err := os.Stat(k.Image); errors.Is(err, fs.ErrNotExist) {
		k.Image = filepath.Join(dir, "vmlinuz")
	}
	return k, nil
}

// lock keeps other processes from adding kernels.
func (s *Store) lock(ctx context.Context) (unlock func() error, err error) {
	if err := MakeDir(s.Dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, cacheError(s.Dir, err)
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
			s.log().Info("waiting for another process that fetches a kernel")
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
