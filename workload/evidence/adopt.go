package evidence

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"umemstress/workload/internal/file"
)

// ConsoleFile is the console of the guest that a run was in.
const ConsoleFile = "serial.log"

// AdoptConsole puts the end of a console into the directory of the run in which its machine
// died, unless that has one.
func AdoptConsole(dir, console string) (err error) {
	from, err := os.Open(console)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(filepath.Join(dir, ConsoleFile), newFile, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return writing(err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, io.NewSectionReader(from, max(0, info.Size()-consoleTail), consoleTail)); err != nil {
		return writing(err)
	}
	return file.Sync(to)
}
