package lab

import (
	"os"
	"os/exec"
	"path/filepath"
)

// findTool finds a program of the host, also where an ordinary user's PATH does
// not lead. pkg is the Debian package that has it.
func findTool(name, pkg string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &lacksError{name, pkg}
}
