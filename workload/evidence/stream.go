package evidence

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// stream is a file of lines, which are added and put on disk at once by whoever likes.
type stream struct {
	file *os.File

	syncing sync.Mutex // held while the disk is waited for
	mu      sync.Mutex // guards what follows, and is not
	added   uint64     // lines
	synced  uint64     // of these, on disk
	// failed is the first error, and stays. After it nothing is added, since half a line may be
	// there, and nothing is known to be on disk, since the kernel tells of a failed writeback once.
	failed error
}

func (s *stream) add(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		s.failed = writing(err)
		return s.failed
	}
	s.added++
	return nil
}

// sync returns when all lines that were added before are on disk.
func (s *stream) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	added, clean, failed := s.added, s.added == s.synced, s.failed
	s.mu.Unlock()
	if clean || failed != nil {
		return failed
	}
	err := file.Again(func() error { return unix.Fdatasync(int(s.file.Fd())) })
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.synced = added
	case s.failed == nil:
		s.failed = writing(fmt.Errorf("sync %s: %w", s.file.Name(), err))
	}
	return s.failed
}

// writing says what failed, and what to do.
func writing(err error) error {
	if full(err) {
		return fmt.Errorf("write the evidence: %w; free some space, or choose another directory with --output", err)
	}
	return fmt.Errorf("write the evidence: %w", err)
}

// full says whether there was no room.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
