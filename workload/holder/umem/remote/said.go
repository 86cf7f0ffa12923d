package remote

import (
	"bytes"
	"strings"
	"sync"
)

// lastLine is a writer that keeps the last line of what was written to it.
type lastLine struct {
	mu   sync.Mutex
	text []byte
}

// maxSaid is how much of a line is kept, in bytes.
const maxSaid = 1 << 10

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	whole := bytes.TrimRight(l.text, "\r\n")
	if at := bytes.LastIndexByte(whole, '\n'); at >= 0 {
		l.text = append([]byte(nil), l.text[at+1:]...)
	}
	if extra := len(l.text) - maxSaid; extra > 0 {
		l.text = l.text[extra:]
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}
