package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/holder/umem/end"
)

// Child is the name of the child that ChildMain is.
const Child = "end"

// OpenChild starts a child that has the end of the file's region. Its end is the release: it
// closes nothing.
func OpenChild(ctx context.Context, c end.Config) (*End, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(Config{
		Device: c.Device, Port: c.Path.Port, GIDIndex: c.Path.GIDIndex, Backend: c.Backend,
		holds: holds{Comm: strings.TrimSpace(string(comm))},
	})
	if err != nil {
		return nil, err
	}
	cmd, err := child.Command(Child, string(config))
	if err != nil {
		return nil, err
	}
	p := &End{line: line{command: cmd, child: true}}
	return p.open(ctx, child.StartBound, c)
}

// ChildMain serves the end of a file's region, and exits with all that it has open.
func ChildMain(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("an end takes its configuration, not %q", args)
	}
	var c Config
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return fmt.Errorf("the configuration of an end: %w", err)
	}
	if err := nameThreads(c.Comm); err != nil {
		return err
	}
	return Serve(context.Background(), in, out, c)
}

// nameThreads has the kernel call all threads of this process what it calls the run, as those are that
// they start: whichever is the last releases the regions, and the kernel may die of it.
func nameThreads(comm string) error {
	threads, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if err := os.WriteFile(thread, []byte(comm), 0); err != nil {
			return err
		}
	}
	return nil
}

// Stop has the child end, and returns once it has, with all that the kernel does then: by itself,
// or killed.
func (p *End) Stop(ctx context.Context, kill bool) error {
	if p.line.wait == nil { // it has ended before it was to
		return p.line.broken
	}
	if kill {
		if err := p.line.command.Process.Signal(unix.SIGKILL); err != nil {
			return err
		}
	}
	_ = p.line.asks.Close()
	ended := make(chan error, 1)
	wait := p.line.wait
	go func() { ended <- wait() }()
	select {
	case err := <-ended:
		p.line.wait = nil
		if err != nil && !kill {
			return fmt.Errorf("%s ended with: %w: %s", p.line.name(), err, p.line.said.String())
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.line.bound(answerBound)):
		return fmt.Errorf("%s has not ended for %v: does it hang in the kernel?", p.line.name(), p.line.bound(answerBound))
	}
}
