// Package journal keeps on disk what an observer has seen, so that it survives the machine: the
// first event of every kind and file, put on disk as it comes, and the sums of every second.
//
// It is bounded, however long the observer runs.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/observe"
)

// The files of a journal. By its events it is known.
const (
	EventsFile  = "journal.jsonl" // lines as observe tells them
	summaryFile = "summary.json"  // the sums when they last changed; exchanged as a whole
)

const (
	// maxFirst is how many pairs of a kind and a file there are lines for.
	maxFirst = 10000
	// maxBytes ends the lines, though not the sums.
	maxBytes = 64 << 20
	// spacing is how long one sync is after another, so that events by thousands do not keep
	// the disk from others.
	spacing = 20 * time.Millisecond
)

// A usage error is of a directory that is not one to write to, or to read.
type usage string

func (e usage) Error() string { return string(e) }

// Usage marks the error as the caller's.
func (usage) Usage() bool { return true }

// A Journal is written by one goroutine at a time.
type Journal struct {
	dir    *os.Root
	handle *os.File // of dir
	events *os.File
	bytes  int64
	seen   map[first]bool
	saved  observe.Summary

	unsynced chan struct{}
	stop     chan struct{}
	closing  sync.Once
	stopped  sync.WaitGroup
	mu       sync.Mutex
	failed   error // to put it on disk, the first time
}

// first is what only the first event of is kept.
type first struct {
	event, path, device string
	inode               uint64
	detached            bool
}

// Create begins a journal in a directory, which it makes if need be. It refuses one that holds
// a journal: what an earlier observer saw before the crash may be all that is left of it.
func Create(dir string) (_ *Journal, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return nil, fmt.Errorf("journal: %w", err)
		}
		return nil, usage(fmt.Sprintf("journal: %v; name another directory", err))
	}
	j := &Journal{seen: map[first]bool{}, unsynced: make(chan struct{}, 1), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.close())
		}
	}()
	if j.dir, err = os.OpenRoot(dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.handle, err = j.dir.Open("."); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.events, err = j.dir.OpenFile(EventsFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, usage(fmt.Sprintf("journal: %s holds a journal already; read it with 'umemstress observe --read', or name another directory", dir))
	}
	if err == nil {
		err = syncNames(j.handle, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.stopped.Go(j.keepSyncing)
	return j, nil
}

// syncNames has the directory's names on disk, and its own.
func syncNames(handle *os.File, dir string) error {
	if err := handle.Sync(); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// Tell keeps a line if it is the first of its event and file, and returns once it is written.
// It is on disk soon after: within 200 ms, unless the disk takes longer. An error of the disk is
// that of the next Tell.
func (j *Journal) Tell(l observe.Line) error {
	key := first{l.Event, l.Path, l.Device, l.Inode, l.Detached}
	file := l.IsEvent()
	if file && (j.seen[key] || len(j.seen) >= maxFirst) || j.bytes >= maxBytes {
		return j.broken()
	}
	line, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	n, err := j.events.Write(append(line, '\n'))
	j.bytes += int64(n)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if file {
		j.seen[key] = true
	}
	select {
	case j.unsynced <- struct{}{}:
	default: // the sync that is due will do it, too
	}
	return j.broken()
}

// Count keeps the sums, if they say anything new but the time.
func (j *Journal) Count(s observe.Summary) error {
	if same(s, j.saved) {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	const fresh = summaryFile + ".new"
	if err := j.write(fresh, append(text, '\n')); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := errors.Join(j.dir.Rename(fresh, summaryFile), j.handle.Sync()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.saved = s
	return nil
}

// write writes a file anew and puts it on disk.
func (j *Journal) write(name string, text []byte) error {
	f, err := j.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func same(a, b observe.Summary) bool {
	a.Seconds, b.Seconds = 0, 0
	if len(a.Sums) != len(b.Sums) {
		return false
	}
	for i := range a.Sums {
		if a.Sums[i] != b.Sums[i] {
			return false
		}
	}
	return a.Events == b.Events && a.Pinned == b.Pinned && a.Refused == b.Refused && a.Released == b.Released && a.Lost == b.Lost
}

func (j *Journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

func (j *Journal) keepSyncing() {
	for {
		select {
		case <-j.stop:
			return
		case <-j.unsynced:
		}
		if err := unix.Fdatasync(int(j.events.Fd())); err != nil {
			j.mu.Lock()
			if j.failed == nil {
				j.failed = fmt.Errorf("journal: put it on disk: %w", err)
			}
			j.mu.Unlock()
		}
		select {
		case <-j.stop:
			return
		case <-time.After(spacing):
		}
	}
}

// Close puts the rest on disk. It may be called again.
func (j *Journal) Close() (err error) {
	j.closing.Do(func() {
		close(j.stop)
		j.stopped.Wait()
		if err = errors.Join(j.broken(), j.events.Sync(), j.close()); err != nil {
			err = fmt.Errorf("journal: %w", err)
		}
	})
	return err
}

func (j *Journal) close() (err error) {
	for _, f := range []*os.File{j.events, j.handle} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if j.dir != nil {
		err = errors.Join(err, j.dir.Close())
	}
	return err
}
