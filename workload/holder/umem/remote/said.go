package remote

import (
	"bytes"
	"strings"
	"sync"

	"umemstress/workload/internal/printable"
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

// maxShown is how much is shown of a text that the other side chose, in bytes: an error has
// several causes, each in a line.
const maxShown = 4 << 10

// shown is a text of the other side as it may be shown to a person.
func shown(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + " ..."
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable.Text(line)
	}
	return strings.Join(lines, "\n")
}
