package payload

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// InsistentReader reads a file past writes that its file system refuses. Before a
// direct read, the kernel writes back what is dirty there; btrfs without its fixup
// worker refuses each page that was dirtied behind its back with EUCLEAN, one a try
// ("marked dirty without notifying the fs", fs/btrfs/extent_io.c, 6.12.97).
type InsistentReader struct {
	File    *os.File
	Tries   uint64 // that may still fail
	Refused uint64 // writes that were refused meanwhile
}

func (r *InsistentReader) ReadAt(p []byte, offset int64) (int, error) {
	for {
		n, err := r.File.ReadAt(p, offset)
		if !errors.Is(err, unix.EUCLEAN) || r.Tries == 0 {
			return n, err
		}
		r.Tries--
		r.Refused++
	}
}
