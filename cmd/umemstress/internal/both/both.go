// Package both does a run on each of two hosts at once: either has a file of its own, into which the other one's
// bytes come. The two are runs like any other, each in a process of its own that starts the peer anew.
package both

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload"
	"umemstress/workload/child"
	"umemstress/workload/record"
	"umemstress/workload/report"
)

// Config is what both runs are begun with.
type Config struct {
	Args   []string // of umemstress run and before it, without --victim, --output and --format
	Dir    string   // of the evidence: each has a folder there, of its victim's name
	Format string   // of the result: text or json
	Stderr io.Writer
	Table  func(io.Writer, *record.Record) error // below each report
}

// side is one of the two runs.
type side struct {
	Exit     int            `json:"exit"`
	Reason   string         `json:"reason"` // of the verdict, or why there is none
	Evidence string         `json:"evidence"`
	Record   *record.Record `json:"run,omitempty"` // nil: there is no verdict

	victim string
}

// Schema names the format of the result.
const Schema = "umemstress.both/v1"

// result is what is printed.
type result struct {
	Schema string `json:"schema"`
	Exit   int    `json:"exit"` // the worse
	Local  *side  `json:"local"`
	Remote *side  `json:"remote"`
}

// Do does both runs, and prints what they came to. The exit code is that of the worse.
func Do(ctx context.Context, c Config, stdout io.Writer) error {
	all := result{Schema: Schema, Local: &side{victim: workload.VictimLocal}, Remote: &side{victim: workload.VictimRemote}}
	sides := []*side{all.Local, all.Remote}
	var running sync.WaitGroup
	var mu sync.Mutex // of stderr
	for _, s := range sides {
		running.Go(func() { s.run(ctx, c, &prefixed{to: c.Stderr, mu: &mu, with: s.victim + ": "}) })
	}
	running.Wait()
	all.Exit = exit.Worst([]int{all.Local.Exit, all.Remote.Exit})
	err := all.print(stdout, c)
	switch {
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), err)
	case all.Exit != exit.Clean:
		return errors.Join(exit.Status(all.Exit), err)
	}
	return err
}

// run does one of them. An interruption is its as well.
func (s *side) run(ctx context.Context, c Config, stderr *prefixed) {
	s.Evidence = filepath.Join(c.Dir, s.victim)
	program, err := os.Executable()
	if err != nil {
		s.Exit, s.Reason = exit.Failed, err.Error()
		return
	}
	cmd := exec.Command(program, append(c.Args, "--victim="+s.victim, "--output="+s.Evidence, "--format=json")...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, stderr
	wait, err := child.StartBoundBy(cmd, syscall.SIGTERM) // then it undoes what it did
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
		err = wait()
		stop()
	}
	stderr.end()
	var failed *exec.ExitError
	switch {
	case err == nil || errors.As(err, &failed) && failed.Exited():
		s.Exit = cmd.ProcessState.ExitCode()
	default:
		s.Exit, s.Reason = exit.Failed, err.Error()
		return
	}
	r := &record.Record{}
	if json.Unmarshal(out.Bytes(), r) != nil || r.Verdict == "" {
		s.Reason = fmt.Sprintf("no verdict: %s", stderr.last)
		return
	}
	s.Record, s.Reason = r, r.Reason
}

func (all result) print(w io.Writer, c Config) error {
	if c.Format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	for _, s := range []*side{all.Local, all.Remote} {
		if s != all.Local {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "--victim %s\n", s.victim)
		if s.Record == nil {
			fmt.Fprintf(w, "%s (exit code %d)\n", s.Reason, s.Exit)
			continue
		}
		if err := errors.Join(report.Text(w, s.Record, s.Evidence), c.Table(w, s.Record)); err != nil {
			return err
		}
	}
	return nil
}

// prefixed writes whole lines, each with a text before it, and remembers the last.
type prefixed struct {
	to   io.Writer
	mu   *sync.Mutex // guards to
	with string
	rest []byte
	last string
}

func (p *prefixed) Write(text []byte) (int, error) {
	p.rest = append(p.rest, text...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		p.line(line)
		p.rest = append([]byte(nil), rest...)
	}
}

func (p *prefixed) line(line []byte) {
	p.last = string(line)
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.to, "%s%s\n", p.with, line)
}

// end writes what has no end of a line.
func (p *prefixed) end() {
	if len(p.rest) > 0 {
		p.line(p.rest)
	}
}
