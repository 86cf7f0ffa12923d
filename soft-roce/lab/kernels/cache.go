package kernels

import (
	"os"
	"path/filepath"

	"umemstress/soft-roce/lab/internal/host"
)

// CacheDir is where kernels are kept and where the unnamed images of scratch
// disks lie: $XDG_CACHE_HOME/umemstress, or ~/.cache/umemstress.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", host.Usagef("no place for the cache: %v", err)
	}
	return filepath.Join(base, "umemstress"), nil
}
