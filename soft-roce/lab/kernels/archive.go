package kernels

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// archiveName matches what the kernel's own build packs ('make tar-pkg', 'make tarxz-pkg'):
// boot/vmlinuz-RELEASE, boot/config-RELEASE and lib/modules/RELEASE.
var archiveName = regexp.MustCompile(`\.tar(\.(gz|bz2|xz|zst))?$`)

func isArchive(path string) bool { return archiveName.MatchString(path) }

// IsFile tells whether a kernel is named by a file that has one: a package or an archive.
func IsFile(name string) bool { return strings.HasSuffix(name, ".deb") || isArchive(name) }

// NoArchiveError says of a kernel that is on no mirror that it is not here either, neither its
// archive nor one that was built.
type NoArchiveError struct {
	Recipe Recipe // what it can be built from
	lacks  error
}

func (e *NoArchiveError) Error() string { return e.lacks.Error() }
func (e *NoArchiveError) Unwrap() error { return e.lacks }

// archiveGrowth is more than an archive grows when it is unpacked.
const archiveGrowth = 12

// extractArchive unpacks what a guest needs of an archive.
func (w *workshop) extractArchive(ctx context.Context, path string) error {
	if _, err := host.Tar.RunAs(ctx, host.Call{Held: w.held}, "--extract", "--file", path, "--directory", w.tree(),
		"--no-same-owner", "--no-same-permissions", "--anchored", "--wildcards", "--exclude=lib/modules/*/build", "--exclude=lib/modules/*/source",
	); err != nil {
		return damaged(path, "archive", err)
	}
	return nil
}

// upstreamOf is the number that a release begins with, which is all that an archive tells of
// its version.
func upstreamOf(release string) string {
	number, _, _ := strings.Cut(release, "-")
	return number
}

// archiveFile is the archive of a series that has no packages: the newest in the folder of
// package files; empty: there is none.
func (s *Store) archiveFile(named series) (string, error) {
	if s.PackageDir == "" {
		return "", nil
	}
	found, err := filepath.Glob(filepath.Join(s.PackageDir, named.archive))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return slices.Max(found), nil
}

// withoutPackages is the kernel of a series that has no packages: of its archive, as the store
// has it, or one that was built.
func (s *Store) withoutPackages(ctx context.Context, named series) (Kernel, error) {
	file, err := s.archiveFile(named)
	if err != nil {
		return Kernel{}, err
	}
	if file == "" {
		return s.builtOrCached(named)
	}
	k, err := s.FromPackages(ctx, []string{file})
	if err != nil {
		return Kernel{}, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	return k, s.remember(named.name, k.dir())
}

func (s *Store) builtOrCached(named series) (Kernel, error) {
	k, err := s.Cached(named.name)
	if err != nil || k.Release != "" {
		return k, err
	}
	if dir := s.builtDir(named.recipe.Name()); dir != "" {
		return s.load(dir)
	}
	return Kernel{}, &NoArchiveError{named.recipe, host.Lacksf("kernel %s is on no mirror: build it with '%s', or name a folder that has %s in %s",
		named.name, named.recipe.Command(), named.archive, PackageDirEnv)}
}
