// Package meeting answers one question: how do two ranks of a job, on hosts that see one directory, come to
// speak with each other? One listens and writes into the directory where, with a token; the other comes
// with the token.
package meeting

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// pollEvery is how often a rank looks whether another has written something.
const pollEvery = 200 * time.Millisecond

// Directory is the one that all ranks see.
type Directory string

// Path is of a file in the directory.
func (d Directory) Path(name string) string { return filepath.Join(string(d), name) }

// earlierError is of a directory that another job has used.
type earlierError struct{ dir, found string }

func (e earlierError) Error() string {
	return fmt.Sprintf("--dir %s: %s is there, of an earlier job; give each job a directory of its own", e.dir, e.found)
}

func (earlierError) Usage() bool { return true }

// Claim makes a folder, which nobody is to have made before: of two, NFS too lets one alone.
func (d Directory) Claim(name string) error {
	err := os.Mkdir(d.Path(name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return earlierError{string(d), name}
	}
	return err
}

// Write has a file appear whole, for this user alone. It is written in a folder that this rank has claimed.
func (d Directory) Write(claimed, name string, data []byte) error {
	whole := filepath.Join(d.Path(claimed), "."+name)
	f, err := os.OpenFile(whole, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(whole, d.Path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(whole))
	}
	return nil
}

// ErrNobody is of something that has not come within its time.
var ErrNobody = errors.New("it has not come")

// Await waits until one of the names is there, and says which, the first given first.
func (d Directory) Await(ctx context.Context, within time.Duration, names ...string) (string, error) {
	over := time.After(within)
	for {
		there, err := d.Look()
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if slices.Contains(there, name) {
				return name, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-over:
			return "", ErrNobody
		case <-time.After(pollEvery):
		}
	}
}

// Look is what is in the directory. It is opened each time: a client of NFS remembers for a while that a name is
// not there, but asks again when the directory is opened (nfs_lookup_verify_inode, fs/nfs/dir.c).
func (d Directory) Look() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
