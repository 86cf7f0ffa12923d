package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// CacheDir is where kernels are kept and where the unnamed images of scratch
// disks lie: $XDG_CACHE_HOME/umemstress, or ~/.cache/umemstress.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", host.Lacksf("there is no place for the cache: %w; set one of them to a directory", err)
	}
	if os.Getenv("XDG_CACHE_HOME") == "" {
		// Root could make any home, and would have the cache where nobody looks for it.
		if home := filepath.Dir(base); !isDir(home) {
			return "", host.Lacksf("there is no place for the cache: the home directory %s does not exist; set HOME or XDG_CACHE_HOME", home)
		}
	}
	return filepath.Join(base, "umemstress"), nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// MakeDir makes a directory of the cache.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return cacheError(dir, err)
	}
	return nil
}

// CacheError is what cacheError makes of it, for who else keeps things in the cache.
func CacheError(dir string, err error) error { return cacheError(dir, err) }

// WantRoom refuses what will not find room in the cache.
func WantRoom(dir string, bytes int64, what string) error { return wantRoom(dir, bytes, what) }

// cacheError says of a cache that cannot be written that it is the host's, and what to
// do. Other errors are left as they are.
func cacheError(dir string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return host.Lacksf("the cache %s is full: %w; free some space there, or set XDG_CACHE_HOME to a directory with more", dir, err)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOTDIR) {
		return host.Lacksf("the cache %s cannot be written: %w; set XDG_CACHE_HOME to a directory that can", dir, err)
	}
	return err
}

// wantRoom refuses what will not find room in the cache, before the mirror is asked for it:
// apt-get waits for ever on a disk that is full.
func wantRoom(dir string, bytes int64, what string) error {
	free, err := freeBytes(dir)
	if err != nil {
		return err
	}
	if free < bytes {
		return host.Lacksf("the cache %s has %d MiB free, and %s takes up to %d MiB: free some space there, or set XDG_CACHE_HOME to a directory with more",
			dir, free>>20, what, (bytes+1<<20-1)>>20)
	}
	return nil
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}
