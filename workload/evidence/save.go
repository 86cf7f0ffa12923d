package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/record"
	"umemstress/workload/unnamed"
)

// spareBytes is kept free for the last record of a run that has filled the disk, or has found
// it filled: more than a record takes.
const spareBytes = 256 << 10

// reserveSpace takes the space by a file without a name, which goes with the process. Where
// the file system has no such files there is none, and no error but that the disk is full.
func reserveSpace(dir *os.File) (*os.File, error) {
	f, err := unnamed.At(dir)
	if err != nil {
		return nil, onlyFull(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, spareBytes); err != nil {
		return nil, errors.Join(onlyFull(err), f.Close())
	}
	return f, nil
}

func onlyFull(err error) error {
	if full(err) {
		return err
	}
	return nil
}

// SaveRecord replaces run.json: what is there is always whole.
func (e *Directory) SaveRecord(r *record.Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", RunFile, err)
	}
	data = append(data, '\n')
	err = e.replace(RunFile, data)
	if full(err) && e.spare != nil {
		err = e.spare.Close()
		e.spare = nil
		err = errors.Join(err, e.replace(RunFile, data))
	}
	if err != nil {
		return writing(err)
	}
	return nil
}

func (e *Directory) replace(name string, data []byte) error {
	temporary := name + newSuffix
	if err := e.dir.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := e.dir.OpenFile(temporary, newFile, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = file.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = e.dir.Rename(temporary, name)
	}
	if err != nil {
		if left := e.dir.Remove(temporary); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
		return err
	}
	return file.Sync(e.handle)
}

// SaveJudged replaces run.json in the directory of a run that is over, such as one that did not live to
// be judged.
func SaveJudged(dir string, r *record.Record) (err error) {
	e := &Directory{}
	if e.dir, err = os.OpenRoot(dir); err != nil {
		return writing(err)
	}
	defer func() { err = errors.Join(err, e.dir.Close()) }()
	if e.handle, err = e.dir.Open("."); err != nil {
		return writing(err)
	}
	defer func() { err = errors.Join(err, e.handle.Close()) }()
	return e.SaveRecord(r)
}
