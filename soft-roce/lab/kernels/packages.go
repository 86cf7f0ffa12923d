package kernels

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// packageFiles returns the files of the newest kernel called name among the package files,
// and none if there is none.
func (s *Store) packageFiles(name string) ([]string, error) {
	entries, err := os.ReadDir(s.PackageDir)
	if err != nil {
		return nil, host.Usagef("%s: %v", PackageDirEnv, err)
	}
	if named, ok := seriesNamed(name); ok && named.line == "" {
		return nil, nil // a package file does not tell of which suite it is the newest
	}
	var found []stockKernel
	files := map[stockKernel][]string{}
	for _, entry := range entries {
		// <package>_<version>_<architecture>.deb
		pkg, rest, _ := strings.Cut(entry.Name(), "_")
		version, arch, _ := strings.Cut(rest, "_")
		release, image := partOf(pkg)
		if release == "" || arch != "amd64.deb" && arch != "all.deb" {
			continue
		}
		stock := stockKernel{Release: release, Version: version}
		if !stock.is(name) {
			continue
		}
		if image {
			found = append(found, stock)
		}
		files[stock] = append(files[stock], filepath.Join(s.PackageDir, entry.Name()))
	}
	stock, _ := newest(found)
	return files[stock], nil
}

// imageFile matches the image packages that a file can be: Debian's, Ubuntu's, and those of 'make
// bindeb-pkg', which have any release. Metapackages have none.
var imageFile = regexp.MustCompile(`^linux-image-(?:unsigned-)?(\d+\.\d+\.\d[0-9a-z.+~-]*?)(?:-unsigned)?$`)

// partOf tells of which release a package is a part that the guest needs, and whether it is
// its image: what Debian and Ubuntu split a kernel into.
func partOf(pkg string) (release string, image bool) {
	for _, prefix := range []string{"linux-modules-extra-", "linux-modules-", "linux-binary-", "linux-base-"} {
		if rest, ok := strings.CutPrefix(pkg, prefix); ok {
			release, _ := partOf("linux-image-" + rest)
			return release, false
		}
	}
	m := imageFile.FindStringSubmatch(pkg)
	if m == nil || strings.HasSuffix(m[1], "-dbg") || strings.HasSuffix(m[1], "-dbgsym") {
		return "", false
	}
	return m[1], true
}

// FromPackages returns the kernel that the package files make up. What it is, its own files
// tell and not the names of the packages. Different files may claim to be of the same
// version, so their hash is part of its key.
func (s *Store) FromPackages(ctx context.Context, paths []string) (Kernel, error) {
	var sums []string
	for _, path := range paths {
		sum, err := sha256File(path)
		if err != nil {
			return Kernel{}, host.Usagef("kernel package: %v", err)
		}
		if err := checkSum(path, sum); err != nil {
			return Kernel{}, err
		}
		sums = append(sums, sum)
	}
	key := keyOf(sums)
	if dir, err := s.withKey(key); err != nil || dir != "" {
		return s.loadIf(dir, err)
	}
	version, room := "", int64(preparedBytes)
	for _, path := range paths {
		if isArchive(path) {
			info, err := os.Stat(path)
			if err != nil {
				return Kernel{}, err
			}
			room += archiveGrowth * info.Size()
			continue
		}
		shown, err := host.DpkgDeb.Run(ctx, "-f", path, "Package", "Version", "Architecture", "Installed-Size")
		if err != nil {
			return Kernel{}, damaged(path, "Debian package", err)
		}
		fields := controlFields(string(shown))
		if arch := fields["Architecture"]; arch != "amd64" && arch != "all" {
			return Kernel{}, host.Usagef("%s is a package for %s, and the lab's guests are amd64", path, arch)
		}
		room += roomFor(string(shown)) - preparedBytes
		// The first is taken to be the image's, unless another one says that it is.
		if _, image := partOf(fields["Package"]); image || version == "" {
			version = fields["Version"]
		}
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if dir, err := s.withKey(key); err != nil || dir != "" {
		return s.loadIf(dir, err)
	}
	if err := wantRoom(s.Dir, room, "the kernel in "+filepath.Base(paths[0])); err != nil {
		return Kernel{}, err
	}
	var dir string
	err = s.add(ctx, func(w *workshop) (string, error) {
		s.log().Infof("unpacking the kernel in %s", strings.Join(paths, ", "))
		if err := w.extract(ctx, paths); err != nil {
			return "", err
		}
		release, err := w.release()
		if err != nil {
			return "", host.Usagef("%s: %v", strings.Join(paths, ", "), err)
		}
		stock := stockKernel{Release: release, Version: cmp.Or(version, upstreamOf(release))}
		if err := stock.check(); err != nil {
			return "", host.Usagef("%s: %v", paths[0], err)
		}
		dir = filepath.Join(s.Dir, stock.Release+"_"+stock.Version+"_"+key)
		return dir, w.prepare(ctx, stock)
	})
	return s.loadIf(dir, err)
}

func (s *Store) loadIf(dir string, err error) (Kernel, error) {
	if err != nil {
		return Kernel{}, err
	}
	return s.load(dir)
}

// keyOf is what a kernel from files of these hashes is known by.
func keyOf(sums []string) string {
	const digits = 12
	if len(sums) == 1 {
		return sums[0][:digits]
	}
	all := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(sums)), " ")))
	return hex.EncodeToString(all[:])[:digits]
}

// withKey is the directory of the kernel that was made of files with these hashes.
func (s *Store) withKey(key string) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(s.Dir, "*_"+key))
	if err != nil || len(dirs) == 0 {
		return "", err
	}
	return dirs[0], nil
}

// damaged says of a file that it could not be read as what it is to be. A disk without room is
// not its fault, nor is an interruption.
func damaged(path, what string, err error) error {
	if !errors.As(err, new(*host.ToolError)) || errors.Is(err, unix.ENOSPC) {
		return err
	}
	return host.Usagef("%s is no %s, or a damaged one: %v", path, what, err)
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
