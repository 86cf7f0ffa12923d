package cells

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/schollz/progressbar/v3"
	"github.com/sirupsen/logrus"
	"golang.org/x/term"

	"umemstress/soft-roce/lab/matrix"
)

// Progress shows a bar on a terminal, and elsewhere logs a line for each
// cell that has run.
type Progress struct {
	bar    *progressbar.ProgressBar // nil: no terminal
	stderr io.Writer
	log    *logrus.Logger

	mu       sync.Mutex // log lines come from any goroutine
	closed   bool       // no bar is shown any more
	repeated bool
	width    int // of the longest description, so that the bar keeps its place
}

// NewProgress begins to show the progress of a matrix. Whoever logs meanwhile does so to Log.
func NewProgress(stderr io.Writer, m matrix.Matrix) *Progress {
	p := &Progress{stderr: stderr, log: logrus.StandardLogger(), repeated: m.Repeat > 1}
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	cells := 0
	for _, kernel := range m.Columns {
		cells += len(kernel.Cells)
		for _, cell := range kernel.Cells {
			p.width = max(p.width, len(kernel.Name+" "+cell.Scenario))
		}
	}
	if p.repeated {
		p.width += len(fmt.Sprintf(" #%d", m.Repeat))
	}
	p.bar = progressbar.NewOptions(cells*m.Repeat,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetDescription(p.padded("booting")),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
	)
	p.bar.RenderBlank()
	p.log = writingTo(p, p.log)
	return p
}

func (p *Progress) padded(what string) string { return fmt.Sprintf("%-*s", p.width, what) }

// writingTo is a logger like another one, with a place of its own to write to.
func writingTo(out io.Writer, like *logrus.Logger) *logrus.Logger {
	return &logrus.Logger{
		Out: out, Formatter: like.Formatter, Hooks: like.Hooks, Level: like.GetLevel(),
		ReportCaller: like.ReportCaller, ExitFunc: like.ExitFunc,
	}
}

// Log is the program's logger, whose lines pass above the bar.
func (p *Progress) Log() logrus.FieldLogger { return p.log }

// Write lets a line of the log pass above the bar.
func (p *Progress) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.stderr.Write(line)
	}
	p.bar.Clear()
	n, err := p.stderr.Write(line)
	p.bar.RenderBlank()
	return n, err
}

func (p *Progress) Tell(now matrix.Progress) {
	cell := now.Kernel + " " + now.Scenario
	if p.repeated {
		cell += fmt.Sprintf(" #%d", now.Repetition)
	}
	if !now.Done {
		if p.bar != nil {
			p.bar.Describe(p.padded(cell))
		}
		return
	}
	if p.bar != nil {
		p.bar.Add(1)
	} else {
		p.log.Infof("%s %s %.1fs", cell, now.Result.Got, now.Result.Seconds)
	}
	for _, attempt := range now.Result.Earlier {
		p.log.Warnf("%s: run again, since the guest was lost: %s", cell, attempt)
	}
	for _, difference := range now.Differences {
		p.log.Warnf("%s: %s", cell, difference)
	}
}

func (p *Progress) Close() {
	if p.bar != nil {
		p.bar.Finish()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
	}
}
