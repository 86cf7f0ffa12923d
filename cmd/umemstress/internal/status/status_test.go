package status

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"

	"umemstress/workload"
	"umemstress/workload/scenario"
)

// told has the flags given and what a run tells.
func told(t *testing.T, terminal, several bool, args ...string) (o workload.Options, stderr *bytes.Buffer, err error) {
	t.Helper()
	var f Flags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	stderr = &bytes.Buffer{}
	err = f.Set(&o, stderr, terminal, several)
	return o, stderr, err
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		args     []string
		want     time.Duration
	}{
		{true, nil, time.Second}, {false, nil, 0},
		{true, []string{"--status-interval", "0"}, 0}, {false, []string{"--status-interval", "10s"}, 10 * time.Second},
	} {
		if o, _, err := told(t, c.terminal, false, c.args...); err != nil || o.StatusInterval != c.want || o.Status == nil {
			t.Errorf("%+v: each %v, %v", c, o.StatusInterval, err)
		}
	}
	_, _, err := told(t, false, false, "--status-interval", "-1s")
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "--status-interval -1s") {
		t.Errorf("a negative interval: %v", err)
	}
}

// tell tells of a write phase, and of one that sends nothing.
func tell(o workload.Options) {
	for _, s := range []workload.Status{
		{Phase: "write", Elapsed: 2 * time.Second, Operations: 64, Bytes: 4 << 20},
		{Phase: "write", Elapsed: 4 * time.Second, Operations: 192, Bytes: 12 << 20},
		{Phase: "write", Elapsed: 5 * time.Second, Operations: 192, Bytes: 12 << 20, Over: true},
		{Phase: "strip", Elapsed: time.Second},
	} {
		o.Status(s)
	}
}

// A terminal has one line, which goes with its phase.
func TestTerminal(t *testing.T) {
	o, stderr, _ := told(t, true, false)
	tell(o)
	const clear = "\r\x1b[K"
	want := clear + "write: 2 s, 64 operations, 4 MiB, 2.0 MiB/s" + clear + "write: 4 s, 192 operations, 12 MiB, 4.0 MiB/s" + clear + clear + "strip: 1 s"
	if stderr.String() != want {
		t.Errorf("%q, want %q", stderr, want)
	}
}

// Elsewhere each is a line of the log.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	defer logrus.SetOutput(logrus.StandardLogger().Out)
	logrus.SetOutput(&log)
	o, stderr, _ := told(t, false, false, "--status-interval", "2s")
	tell(o)
	if stderr.Len() > 0 || strings.Count(log.String(), "\n") != 3 || !strings.Contains(log.String(), "write: 4 s, 192 operations, 12 MiB, 4.0 MiB/s") {
		t.Errorf("%q and the log %q", stderr, &log)
	}
}

// Of several runs it is told which one.
func TestSeveral(t *testing.T) {
	o, stderr, _ := told(t, true, true)
	o.Status(workload.Status{
		Scenario: scenario.Scenario{Holder: "uring", Filesystem: "ext4", Strip: "pageout", Mutation: "none", Folios: scenario.Natural},
		Phase:    "strip", Elapsed: time.Second,
	})
	if want := "\r\x1b[Kuring/ext4/pageout/none, strip: 1 s"; stderr.String() != want {
		t.Errorf("%q, want %q", stderr, want)
	}
}
