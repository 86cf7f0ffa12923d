package child

import (
	"os/exec"
	"path/filepath"
)

// Find finds a program, also a system administrator's program, which an ordinary user's
// PATH does not reach on Debian.
func Find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}
