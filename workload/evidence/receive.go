package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// Copy is a directory with the evidence of a run that is done elsewhere.
type Copy struct {
	*Directory
	sizes map[string]int64
	begun bool
}

// Receive makes ready a directory as Create does.
func Receive(dir string) (*Copy, error) {
	d, err := Create(dir)
	if err != nil {
		return nil, err
	}
	return &Copy{Directory: d, sizes: map[string]int64{}}, nil
}

// Keep puts a part, which may be anybody's, into its file. What a record counts is on disk before it is.
func (c *Copy) Keep(p Part) error {
	c.begun = true
	switch p.File {
	case RunFile:
		if len(p.Bytes) > maxRecord {
			return fmt.Errorf("a record of %d bytes came, which is more than one of a run has", len(p.Bytes))
		}
		if err := errors.Join(file.Sync(c.events.file), file.Sync(c.kmsg.file)); err != nil {
			return writing(err)
		}
		if err := c.replace(RunFile, p.Bytes); err != nil {
			return writing(err)
		}
		return nil
	case eventsFile:
		return c.append(c.events.file, p)
	case kmsgFile:
		return c.append(c.kmsg.file, p)
	}
	return fmt.Errorf("a part of %.80q came, which is no file of a run", p.File)
}

func (c *Copy) append(to *os.File, p Part) error {
	if p.At != c.sizes[p.File] {
		return fmt.Errorf("of %s the bytes from %d on came, and not those from %d", p.File, p.At, c.sizes[p.File])
	}
	n, err := to.Write(p.Bytes)
	c.sizes[p.File] += int64(n)
	if err != nil {
		return writing(err)
	}
	return nil
}

// Close puts all on disk. Of a run that never began it leaves nothing.
func (c *Copy) Close() error {
	var err error
	if c.begun {
		err = errors.Join(file.Sync(c.events.file), file.Sync(c.kmsg.file))
	} else {
		err = c.unclaim()
	}
	return errors.Join(err, c.Directory.Close())
}

// Remove removes what a run has left in a directory, and that, if there is nothing else in it.
func Remove(dir string) error {
	return inDirectory(dir, func(root *os.Root) error {
		for _, name := range runFiles() {
			if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := os.Remove(dir); !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
		return nil
	})
}
