package memory

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// LockText keeps this program's file in memory, for its children as well, until it is
// unlocked. Where memory runs short, reclaim takes also the code of whoever makes it
// short; near the end the program then does little but read its own file again. What
// cannot be locked (RLIMIT_MEMLOCK, or too little memory already) is gone on without.
func LockText() (unlock func() error, err error) {
	text, err := ownText()
	if err != nil {
		return nil, err
	}
	for _, m := range text {
		_, _, errno := unix.Syscall(unix.SYS_MLOCK, m.StartAddr, m.EndAddr-m.StartAddr, 0)
		switch errno {
		case 0, unix.ENOMEM, unix.EPERM, unix.EAGAIN:
		default:
			return nil, fmt.Errorf("mlock %d bytes of %s: %w", m.EndAddr-m.StartAddr, m.Pathname, errno)
		}
	}
	return func() error {
		var failed []error
		for _, m := range text {
			if _, _, errno := unix.Syscall(unix.SYS_MUNLOCK, m.StartAddr, m.EndAddr-m.StartAddr, 0); errno != 0 {
				failed = append(failed, fmt.Errorf("munlock %d bytes of %s: %w", m.EndAddr-m.StartAddr, m.Pathname, errno))
			}
		}
		return errors.Join(failed...)
	}, nil
}

// ownText returns where this program's file is mapped.
func ownText() ([]*procfs.ProcMap, error) {
	// Not os.Executable, which leaves out the " (deleted)" that maps shows, too.
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	maps, err := mappings()
	if err != nil {
		return nil, err
	}
	var text []*procfs.ProcMap
	for _, m := range maps {
		if m.Pathname == file {
			text = append(text, m)
		}
	}
	return text, nil
}
