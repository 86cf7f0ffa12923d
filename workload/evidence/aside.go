package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"umemstress/workload/internal/file"
)

// runFiles are what a run leaves in its directory.
func runFiles() []string { return []string{eventsFile, kmsgFile, RunFile} }

// SetAside moves the evidence of a run that is over into a new folder of its directory, so that another
// run can have the directory. It says whether there is any.
func SetAside(dir, folder string) (there bool, err error) {
	if _, err := os.Lstat(filepath.Join(dir, RunFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, inDirectory(dir, func(root *os.Root) error {
		if err := root.Mkdir(folder, 0o755); err != nil {
			return err
		}
		for _, name := range runFiles() {
			if err := root.Rename(name, filepath.Join(folder, name)); err != nil {
				return err
			}
		}
		return errors.Join(syncIn(root, folder), syncIn(root, "."))
	})
}

// TakeBack undoes SetAside.
func TakeBack(dir, folder string) error {
	return inDirectory(dir, func(root *os.Root) error {
		for _, name := range slices.Backward(runFiles()) {
			if err := root.Rename(filepath.Join(folder, name), name); err != nil {
				return err
			}
		}
		return errors.Join(root.Remove(folder), syncIn(root, "."))
	})
}

func inDirectory(dir string, do func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err == nil {
		err = errors.Join(do(root), root.Close())
	}
	if err != nil {
		return fmt.Errorf("move the evidence of a run in %s: %w", dir, err)
	}
	return nil
}

// syncIn puts the names in a directory on disk.
func syncIn(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(d), d.Close())
}
