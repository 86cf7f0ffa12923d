package evidence

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Part is a part of a file of evidence, for a copy of it elsewhere.
type Part struct {
	File  string `json:"file"`
	At    int64  `json:"at"` // where its bytes are in the file; of the record, which is always whole, 0
	Bytes []byte `json:"bytes"`
}

// maxPart is how many bytes a part has, of a file that grows.
const maxPart = 1 << 20

// Follower tells what comes into a directory of evidence while its run goes on.
type Follower struct {
	dir    string
	told   map[string]int64 // bytes
	record fs.FileInfo      // that was told last
}

// Follow follows the evidence in a directory, which need not be there yet.
func Follow(dir string) *Follower { return &Follower{dir: dir, told: map[string]int64{}} }

// Next tells all that has come since it was called last. A record comes behind what it counts.
func (f *Follower) Next(tell func(Part) error) error {
	data, info, err := f.newRecord()
	if err != nil {
		return err
	}
	for _, name := range []string{eventsFile, kmsgFile} {
		if err := f.grown(name, tell); err != nil {
			return err
		}
	}
	if info == nil {
		return nil
	}
	f.record = info
	return tell(Part{File: RunFile, Bytes: data})
}

// newRecord is the record, if it is another than the one that was told.
func (f *Follower) newRecord() ([]byte, fs.FileInfo, error) {
	file, err := os.Open(filepath.Join(f.dir, RunFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	// It is a new file each time; the old one's number may be given to the one after the next.
	if err != nil || f.record != nil && os.SameFile(info, f.record) && info.ModTime().Equal(f.record.ModTime()) {
		return nil, nil, err
	}
	data, err := io.ReadAll(file)
	return data, info, err
}

// grown tells what a file has more than before.
func (f *Follower) grown(name string, tell func(Part) error) error {
	file, err := os.Open(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	for buffer := make([]byte, maxPart); ; {
		n, err := file.ReadAt(buffer, f.told[name])
		if n > 0 {
			if err := tell(Part{File: name, At: f.told[name], Bytes: buffer[:n]}); err != nil {
				return err
			}
			f.told[name] += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
