package lab

import (
	"fmt"
	"os"
)

// serialLog is the file that QEMU writes the guest's console to. A file that
// nobody asked for by name has none, so that it is gone with QEMU and the lab,
// and gets one only when there is a reason to read it.
type serialLog struct {
	name string   // as asked for; empty: unnamed
	file *os.File // the unnamed file, or open for reading
	kept string   // the name that the unnamed file got
}

func newSerialLog(name, dir string) (*serialLog, error) {
	if name == "" {
		f, err := unnamedFile(dir)
		if err != nil {
			return nil, fmt.Errorf("serial log: %w", err)
		}
		return &serialLog{file: f}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, usagef("serial log: %v", err)
	}
	return &serialLog{name: name, file: f}, nil
}

// path is where QEMU, which is a child of this process, finds the file.
func (l *serialLog) path() string {
	if l.name != "" {
		return l.name
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), l.file.Fd())
}

func (l *serialLog) read() []byte {
	st, err := l.file.Stat()
	if err != nil {
		return nil
	}
	log := make([]byte, st.Size())
	n, _ := l.file.ReadAt(log, 0)
	return log[:n]
}

// keep gives the log a name, if it has none, and returns it.
func (l *serialLog) keep() string {
	if l.name != "" {
		return l.name
	}
	if l.kept == "" {
		f, err := os.CreateTemp("", "umemstress-serial-*.log")
		if err != nil {
			return ""
		}
		defer f.Close()
		if _, err := f.Write(l.read()); err != nil {
			return ""
		}
		l.kept = f.Name()
	}
	return l.kept
}

func (l *serialLog) close() { l.file.Close() }
