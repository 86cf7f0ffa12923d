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
	return lockAll(text, mlock)
}

// lockAll locks the mappings, or none of them.
func lockAll(text []*procfs.ProcMap, lock func(call uintptr, m *procfs.ProcMap) error) (unlock func() error, err error) {
	locked := 0
	unlock = func() error {
		var failed []error
		for _, m := range text[:locked] {
			failed = append(failed, lock(unix.SYS_MUNLOCK, m))
		}
		return errors.Join(failed...)
	}
	for _, m := range text {
		err := lock(unix.SYS_MLOCK, m)
		if err != nil && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EAGAIN) {
			return nil, errors.Join(err, unlock())
		}
		locked++
	}
	return unlock, nil
}

// mlock makes one of the two calls for a mapping.
func mlock(call uintptr, m *procfs.ProcMap) error {
	if _, _, errno := unix.Syscall(call, m.StartAddr, m.EndAddr-m.StartAddr, 0); errno != 0 {
		return fmt.Errorf("%s %d bytes of %s: %w", map[uintptr]string{unix.SYS_MLOCK: "mlock", unix.SYS_MUNLOCK: "munlock"}[call], m.EndAddr-m.StartAddr, m.Pathname, errno)
	}
	return nil
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
