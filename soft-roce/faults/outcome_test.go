package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// process is a run of the program under test.
type process struct {
	cmd     *exec.Cmd
	stdout  bytes.Buffer
	stderr  phaseLog
	started time.Time
	done    chan struct{} // closed when it has ended
}

// phaseLog keeps what a run says, and when it said which phase it begins.
type phaseLog struct {
	text    bytes.Buffer
	started time.Time
	phases  []phase
	began   chan string // the names, for who waits for one
}

// maxPhases is more than a run has.
const maxPhases = 100

// phase is one that a run has begun.
type phase struct {
	name  string
	after time.Duration // the start
}

var phaseLine = regexp.MustCompile(`"phase ([a-z-]+)"`)

func (l *phaseLog) Write(text []byte) (int, error) {
	for _, found := range phaseLine.FindAllSubmatch(text, -1) {
		l.phases = append(l.phases, phase{string(found[1]), time.Since(l.started)})
		l.began <- string(found[1])
	}
	return l.text.Write(text)
}

// starting is what stands for a phase before the first.
const starting = "start"

// at is the phase at a moment.
func (l *phaseLog) at(moment time.Duration) string {
	name := starting
	for _, p := range l.phases {
		if p.after <= moment {
			name = p.name
		}
	}
	return name
}

func (l *phaseLog) String() string { return l.text.String() }

// start starts the command line; env is added to the environment.
func start(t testing.TB, env []string, line ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(line[0], line[1:]...), started: time.Now(), done: make(chan struct{})}
	p.stderr.started, p.stderr.began = p.started, make(chan string, maxPhases)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// A child that outlives it and keeps the pipes is found as a process.
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state has it
		close(p.done)
	}()
	return p
}

// reach waits until a run is in the phase, and then for some time; it returns false if the
// process has ended before.
func (p *process) reach(phase string, after time.Duration) bool {
	for name := starting; name != phase; {
		select {
		case name = <-p.stderr.began:
		case <-p.done:
			return false
		}
	}
	select {
	case <-time.After(after):
		return true
	case <-p.done:
		return false
	}
}

// ended waits until the process has ended, and kills it when the time is up.
func (p *process) ended(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(within):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return false
}

func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// killedBy is the signal that ended it, or 0.
func (p *process) killedBy() syscall.Signal {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

func (p *process) String() string {
	return fmt.Sprintf("%s; stdout %q, stderr %q", p.cmd.ProcessState, short(p.stdout.String()), short(p.stderr.String()))
}

// short has the end of a text that is too long for a message.
func short(text string) string {
	const most = 1500
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}

// crash finds what a Go program says when it dies of itself.
func crash(stderr string) string {
	for _, sign := range []string{"panic:", "fatal error:", "runtime error:", "\ngoroutine "} {
		if _, after, found := strings.Cut(stderr, sign); found {
			return short(sign + after)
		}
	}
	return ""
}

// maxSentence is more than any sentence of ours needs, and less than the complaints of a
// child file by file.
const maxSentence = 2000

// wrongSentence says what is wrong with what the program said when it ended with an error:
// it is to be one line, without control characters, after any lines of the log.
func wrongSentence(stderr string) string {
	if found := crash(stderr); found != "" {
		return "it died of itself: " + found
	}
	var sentences []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "level=") {
			continue // the log
		}
		sentences = append(sentences, line)
	}
	if len(sentences) != 1 || !strings.HasPrefix(sentences[0], "umemstress: ") || !strings.HasSuffix(stderr, sentences[0]+"\n") {
		return "what it said is not one sentence of one line at the end"
	}
	if strings.ContainsFunc(sentences[0], unicode.IsControl) {
		return "what it said has control characters"
	}
	if len(sentences[0]) > maxSentence {
		return fmt.Sprintf("what it said has %d bytes", len(sentences[0]))
	}
	return ""
}
