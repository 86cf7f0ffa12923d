package lab

import (
	"os"
	"path/filepath"
)

// CacheDir is where kernels are kept and where the unnamed images of scratch
// disks lie: $XDG_CACHE_HOME/umemstress, or ~/.cache/umemstress.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", usagef("no place for the cache: %v", err)
	}
	return filepath.Join(base, "umemstress"), nil
}
