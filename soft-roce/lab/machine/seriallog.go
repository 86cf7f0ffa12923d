package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/workload/unnamed"
)

// SerialLog is the file that QEMU writes the guest's console to. A file that
// nobody asked for by name has none, so that it is gone with QEMU and the lab,
// and gets one only when there is a reason to read it.
type SerialLog struct {
	name string   // as asked for; empty: unnamed
	file *os.File // the unnamed file, or open for reading
	kept string   // the name that the unnamed file got
}

// CheckSerialLog refuses a name that no file can be made under. None is asked for by "".
func CheckSerialLog(name string) error {
	if name == "" {
		return nil
	}
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return host.Usagef("serial log: %s is a directory", name)
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return host.Usagef("serial log %s: %v", name, err)
	}
	return nil
}

// NewSerialLog makes the file called name, or an unnamed one in dir.
func NewSerialLog(name, dir string) (*SerialLog, error) {
	if name == "" {
		f, err := unnamed.In(dir)
		if err != nil {
			return nil, fmt.Errorf("serial log: %w", err)
		}
		return &SerialLog{file: f}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, host.Usagef("serial log: %v", err)
	}
	return &SerialLog{name: name, file: f}, nil
}

// Path is where QEMU, which is a child of this process, finds the file.
func (l *SerialLog) Path() string {
	if l.name != "" {
		return l.name
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), l.file.Fd())
}

// Read is what the guest has written so far.
func (l *SerialLog) Read() []byte {
	st, err := l.file.Stat()
	if err != nil {
		return nil
	}
	log := make([]byte, st.Size())
	n, _ := l.file.ReadAt(log, 0)
	return log[:n]
}

// Keep gives the log a name, if it has none, and returns it.
func (l *SerialLog) Keep() string {
	if l.name != "" {
		return l.name
	}
	if l.kept == "" {
		forgetOldLogs(os.TempDir())
		f, err := os.CreateTemp("", keptLogs)
		if err != nil {
			return ""
		}
		defer f.Close()
		if _, err := f.Write(l.Read()); err != nil {
			return ""
		}
		l.kept = f.Name()
	}
	return l.kept
}

const (
	keptLogs = "umemstress-serial-*.log"
	keptFor  = 7 * 24 * time.Hour
)

// forgetOldLogs removes the logs that nobody asked for by name and that were kept a week
// ago, by this user.
func forgetOldLogs(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, keptLogs)) // its pattern is sound
	for _, path := range paths {
		st, err := os.Lstat(path)
		if err != nil || !st.Mode().IsRegular() || time.Since(st.ModTime()) < keptFor {
			continue
		}
		if owner, ok := st.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == os.Geteuid() {
			_ = os.Remove(path) // the next one tries again
		}
	}
}

// Close closes the file; what has no name is gone then.
func (l *SerialLog) Close() { l.file.Close() }
