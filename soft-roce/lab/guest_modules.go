package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// loadModules loads the modules in dir in the order of their names, which is
// that of their dependencies.
func loadModules(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := loadModule(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("load module %s: %w", entry.Name(), err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENODEV):
		// A driver of a CPU feature that this CPU does not have, such as
		// crc32c_intel. The generic one follows it.
		return nil
	}
	return err
}
