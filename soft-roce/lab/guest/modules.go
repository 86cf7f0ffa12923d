package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// loadStage loads the modules of a stage in the order of their names, which is
// that of their dependencies. A stage whose modules are all built in has no
// directory.
func loadStage(name string) error {
	dir := filepath.Join(proto.ModulesPath, name)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
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
		return nil // another stage depends on it, too
	case errors.Is(err, unix.ENODEV):
		// A driver of a CPU feature that this CPU does not have, such as
		// crc32c_intel. The generic one follows it.
		return nil
	}
	return err
}
