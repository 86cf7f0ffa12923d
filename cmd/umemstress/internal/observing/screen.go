package observing

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"umemstress/probes/observe"
)

// redraw is how soon a table is drawn again.
const redraw = 200 * time.Millisecond

// A screen draws a table in the place of the one before.
type screen struct {
	out   io.Writer
	size  func() (columns, lines int)
	table observe.Table
	drawn time.Time
	lines int  // that are drawn
	stale bool // there are news since then
	over  bool // the last line is told
}

// screenOn is nil where nobody looks.
func screenOn(out io.Writer) *screen {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &screen{out: out, size: func() (columns, lines int) {
		columns, lines, err := term.GetSize(int(f.Fd()))
		if err != nil || columns < 1 || lines < 1 {
			return 80, 24
		}
		return columns, lines
	}}
}

// tell takes a line in, and draws unless that was a moment ago; then idle does. What is
// no row of a table stands above it, or, the last line, below.
func (s *screen) tell(l observe.Line) error {
	s.table.Add(l)
	s.stale = true
	if !l.IsEvent() {
		if l.Event == observe.Ended {
			if err := s.draw(); err != nil {
				return err
			}
			s.lines, s.over = 0, true
		}
		return s.write(s.erase() + strings.ReplaceAll(l.Text(), "\n", "\x1b[K\n"))
	}
	if time.Since(s.drawn) < redraw {
		return nil
	}
	return s.draw()
}

// idle draws what is new, and anew when the terminal may have another size.
func (s *screen) idle() error {
	if s.over || !s.stale && time.Since(s.drawn) < time.Second {
		return nil
	}
	return s.draw()
}

func (s *screen) draw() error {
	s.stale = false
	columns, lines := s.size()
	text := s.table.Lines(columns-1, max(lines-1, 1))
	over := s.erase()
	s.lines, s.drawn = len(text), time.Now()
	return s.write(over + strings.Join(text, "\x1b[K\n") + "\x1b[K\n\x1b[J")
}

// erase goes back to where the table begins.
func (s *screen) erase() string {
	if s.lines == 0 {
		return ""
	}
	n := s.lines
	s.lines = 0
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", n)
}

func (s *screen) write(text string) error {
	_, err := io.WriteString(s.out, text)
	return written(err)
}
