package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/internal/host"
)

// packageFile returns the file of the newest kernel called name among the
// package files, and "" if there is none.
func (s *Store) packageFile(name string) (string, error) {
	entries, err := os.ReadDir(s.PackageDir)
	if err != nil {
		return "", host.Usagef("%s: %v", PackageDirEnv, err)
	}
	if named, ok := seriesNamed(name); ok && named.line == "" {
		return "", nil // a package file does not tell of which suite it is the newest
	}
	var found []stockKernel
	files := map[stockKernel]string{}
	for _, entry := range entries {
		// <package>_<version>_<architecture>.deb
		pkg, rest, _ := strings.Cut(entry.Name(), "_")
		version, arch, _ := strings.Cut(rest, "_")
		release, ok := releaseOfPackage(pkg)
		if !ok || arch != "amd64.deb" {
			continue
		}
		stock := stockKernel{Release: release, Version: version}
		if stock.is(name) {
			found = append(found, stock)
			files[stock] = filepath.Join(s.PackageDir, entry.Name())
		}
	}
	stock, ok, err := newest(found)
	if err != nil || !ok {
		return "", err
	}
	return files[stock], nil
}

// fromPackageFile returns the kernel in a package file. Different files may
// claim to be of the same version, so the file's hash is part of its key.
func (s *Store) fromPackageFile(ctx context.Context, path string) (Kernel, error) {
	sum, err := sha256File(path)
	if err != nil {
		return Kernel{}, host.Usagef("kernel package: %v", err)
	}
	if err := checkSum(path, sum); err != nil {
		return Kernel{}, err
	}
	out, err := host.DpkgDeb.Run(ctx, "-f", path, "Package", "Version")
	if err != nil {
		return Kernel{}, host.Usagef("%s is no Debian package: %v", path, err)
	}
	fields := controlFields(string(out))
	release := strings.TrimPrefix(fields["Package"], "linux-image-")
	if release == fields["Package"] {
		return Kernel{}, host.Usagef("%s is the package %s, not one of a kernel (linux-image-…)", path, fields["Package"])
	}
	release = strings.TrimPrefix(release, "unsigned-")
	stock := stockKernel{Release: release, Version: fields["Version"]}
	if err := stock.check(); err != nil {
		return Kernel{}, host.Usagef("%s: %v", path, err)
	}
	dir := filepath.Join(s.Dir, stock.Release+"_"+stock.Version+"_"+sum[:12])
	err = s.addOnce(ctx, dir, stock, func(string) ([]string, error) {
		logrus.Infof("unpacking kernel %s (%s) from %s", stock.Release, stock.Version, path)
		return []string{path}, nil
	})
	if err != nil {
		return Kernel{}, err
	}
	return s.load(dir)
}

func sha256File(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkSum compares the hash of a file with the SHA256SUMS beside it, if there
// is one and the file is listed in it.
func checkSum(path, sum string) error {
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), "SHA256SUMS"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		want, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && strings.TrimLeft(name, " *") == filepath.Base(path) && want != sum {
			return &SumError{Path: path, Got: sum, Want: want}
		}
	}
	return nil
}

// addOnce adds the kernel as dir if it is not there. The packages come from get,
// which may use a directory of its own.
func (s *Store) addOnce(ctx context.Context, dir string, stock stockKernel, get func(tmp string) ([]string, error)) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	// Whoever left these is dead, since it does not hold the lock.
	stale, err := filepath.Glob(filepath.Join(s.Dir, ".new-*"))
	if err != nil {
		return err
	}
	for _, old := range stale {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(s.Dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	packages, err := get(tmp)
	if err != nil {
		return err
	}
	ready := filepath.Join(tmp, "kernel")
	if err := unpack(ctx, packages, stock, ready); err != nil {
		return fmt.Errorf("kernel %s: %w", stock.Release, err)
	}
	return os.Rename(ready, dir)
}

// unpack makes a kernel directory from its packages.
func unpack(ctx context.Context, packages []string, stock stockKernel, dir string) error {
	tree := dir + ".tree"
	for _, pkg := range packages {
		if _, err := host.DpkgDeb.Run(ctx, "-x", pkg, tree); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "lib/modules"), 0o755); err != nil {
		return err
	}
	// Debian moved the modules under /usr in trixie, and the image and the
	// configuration among the modules in 7.x.
	modules := filepath.Join("lib/modules", stock.Release)
	for _, part := range []struct {
		to       string
		from     []string
		optional bool
	}{
		{to: "vmlinuz", from: []string{"boot/vmlinuz-" + stock.Release, "usr/" + modules + "/vmlinuz"}},
		{to: "config", from: []string{"boot/config-" + stock.Release, "usr/" + modules + "/config"}, optional: true},
		{to: modules, from: []string{modules, "usr/" + modules}},
	} {
		if err := moveFirst(tree, part.from, filepath.Join(dir, part.to)); err != nil && !part.optional {
			return err
		}
	}
	// A directory of mode 0700, as MkdirTemp makes it, would hide the kernel
	// from the guest of another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if _, err := host.Depmod.Run(ctx, "-b", dir, stock.Release); err != nil {
		return err
	}
	err := prepareBootModules(filepath.Join(dir, bootModulesFile), filepath.Join(dir, "lib/modules", stock.Release))
	if err != nil {
		return err
	}
	if err := extractImage(ctx, filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "vmlinux")); err != nil {
		logrus.Infof("kernel %s will unpack itself at each boot: %v", stock.Release, err)
	}
	raw, err := json.Marshal(stock)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, kernelFile), raw, 0o644)
}

// moveFirst moves the first of the paths under tree that exists.
func moveFirst(tree string, paths []string, to string) error {
	for _, path := range paths {
		err := os.Rename(filepath.Join(tree, path), to)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("the packages have none of %s", strings.Join(paths, ", "))
}
