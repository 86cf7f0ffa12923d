package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
)

// Reserve makes a directory, still empty, for a run that was given none, and returns its
// name. No two runs are given the same.
func Reserve(now time.Time) (dir string, err error) {
	base := "umemstress-" + now.Format("20060102-150405")
	dir = base
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			return dir, nil
		}
		if full(err) {
			return "", fmt.Errorf("make a directory for the evidence: %w; choose another place with --output", err)
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fault.Usagef("make a directory for the evidence here: %w; name one with --output", err)
		}
		dir = fmt.Sprintf("%s-%d", base, n)
	}
}

// Create begins the evidence of a run in a directory, which it makes if need be. Of two
// runs that are given the same one, one gets it; the other, like whoever names a directory
// that holds a run already, gets an error and has touched nothing. A directory that somebody
// else could write to would be no evidence.
func Create(dir string) (_ *Directory, err error) {
	failed := func(err error) error {
		return fmt.Errorf("write the evidence to %s: %w; choose another directory with --output", dir, err)
	}
	if err := makeDirectory(dir); full(err) {
		return nil, failed(err)
	} else if err != nil {
		return nil, fault.Usagef("--output %s: %w", dir, err)
	}
	e := &Directory{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.dir, err = os.OpenRoot(dir); err != nil {
		return nil, failed(err)
	}
	if e.handle, err = e.dir.Open("."); err != nil {
		return nil, failed(err)
	}
	if err := e.free(dir); err != nil {
		return nil, err
	}
	if err := e.claim(dir); err != nil {
		return nil, err
	}
	if e.kmsg.file, err = e.dir.OpenFile(kmsgFile, newFile, 0o644); err == nil {
		err = file.Sync(e.handle)
	}
	if err == nil {
		e.spare, err = reserveSpace(e.handle)
	}
	if err != nil {
		return nil, errors.Join(failed(err), e.unclaim())
	}
	return e, nil
}

// newFile are the flags to make a file that is not there yet.
const newFile = os.O_WRONLY | os.O_CREATE | os.O_EXCL

// free says whether a run may write to the directory.
func (e *Directory) free(dir string) error {
	stat, err := statOf(e.handle)
	if err != nil {
		return err
	}
	if who := othersMayWrite(stat.Mode, stat.Uid, stat.Gid); who != "" {
		return fault.Usagef("--output %s: %s can write to it, and then it proves nothing; name a new directory", dir, who)
	}
	for _, name := range []string{RunFile, RunFile + newSuffix, eventsFile, kmsgFile} {
		if _, err := e.dir.Lstat(name); err == nil {
			return fault.Usagef("--output %s: it already holds the evidence of a run (%s); name a new directory", dir, name)
		}
	}
	return nil
}

// othersMayWrite names who, beside the owner, can exchange files in a directory. The group
// with the owner's number is his own (user private groups), and in a sticky directory only
// the owner of a file can.
func othersMayWrite(mode, uid, gid uint32) string {
	switch {
	case mode&unix.S_ISVTX != 0:
	case mode&unix.S_IWOTH != 0:
		return "anybody"
	case mode&unix.S_IWGRP != 0 && gid != uid:
		return fmt.Sprintf("group %d", gid)
	}
	return ""
}

// claim takes the directory for this run: only one can make the file of events.
func (e *Directory) claim(dir string) (err error) {
	e.events.file, err = e.dir.OpenFile(eventsFile, newFile, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fault.Usagef("--output %s: another run has just begun to write there; name a new directory", dir)
	case err != nil:
		return fmt.Errorf("write the evidence to %s: %w; choose another directory with --output", dir, err)
	}
	// Who owns a new file owns the directory, unless it is somebody else's. The caller's own
	// number would not do: a directory that a guest has of its host knows none of the guest's.
	whose, err := statOf(e.handle)
	if err != nil {
		return errors.Join(err, e.unclaim())
	}
	mine, err := statOf(e.events.file)
	if err == nil {
		err = ofOneOwner(dir, whose.Uid, mine.Uid)
	}
	if err != nil {
		return errors.Join(err, e.unclaim())
	}
	return nil
}

func ofOneOwner(dir string, whose, mine uint32) error {
	if whose != mine {
		return fault.Usagef("--output %s: it belongs to user %d, who could exchange what is in it; name a directory of your own", dir, whose)
	}
	return nil
}

// unclaim leaves the directory to others.
func (e *Directory) unclaim() error {
	err := e.dir.Remove(eventsFile)
	if e.kmsg.file != nil {
		err = errors.Join(err, e.dir.Remove(kmsgFile))
	}
	return err
}

func statOf(f *os.File) (stat unix.Stat_t, err error) {
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return stat, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return stat, nil
}

// makeDirectory makes a directory and those that lead to it, and puts their names on disk:
// what is synced in a directory without a name is lost with the machine.
func makeDirectory(dir string) error {
	var missing []string
	for path := filepath.Clean(dir); ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, path := range missing {
		if err := syncDirectory(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// syncDirectory puts the names in a directory on disk. One that must not be read, though a
// directory was made in it, keeps them until its file system writes them.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(d), d.Close())
}
