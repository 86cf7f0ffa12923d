// Package program finds the programs of this machine.
package program

import (
	"os/exec"
	"path/filepath"
)

// Find returns the path of a program, also of a system administrator's, which an
// ordinary user's PATH does not reach on Debian. The error is exec.ErrNotFound.
func Find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}
