package kernels

import (
	"context"
	"errors"
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

// ErrNoArchive says of a kernel that is on no mirror that its archive is not here either.
var ErrNoArchive = errors.New("no archive of the kernel")

type noArchiveError struct{ error }

func (e noArchiveError) Unwrap() []error { return []error{e.error, ErrNoArchive} }

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
// package files.
func (s *Store) archiveFile(named series) (string, error) {
	var found []string
	if s.PackageDir != "" {
		var err error
		if found, err = filepath.Glob(filepath.Join(s.PackageDir, named.archive)); err != nil {
			return "", err
		}
	}
	if len(found) == 0 {
		return "", noArchiveError{host.Lacksf("kernel %s is on no mirror: name a folder that has %s in %s", named.name, named.archive, PackageDirEnv)}
	}
	return slices.Max(found), nil
}

// fromArchive is the kernel of a series that has no packages: of its archive, or as the store
// has it.
func (s *Store) fromArchive(ctx context.Context, named series) (Kernel, error) {
	file, lacks := s.archiveFile(named)
	if lacks != nil {
		k, err := s.Cached(named.name)
		if err == nil && k.Release == "" {
			err = lacks
		}
		return k, err
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
