//go:build guest

package main

import (
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
)

// A program that is refused its region is told with the file's path, though it ended before the
// observer came to look, as one often does: this one is stopped meanwhile.
func TestObserveRefused(t *testing.T) {
	if *expectVerdict != "refused" {
		return
	}
	file := pinnedFile(t, 256)
	o := beginService(t, "--fail-on-hit", "--stack", "--comm", "ib_write_bw")
	if err := o.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	server, client := perftest(t, file, 4)
	if err := client(); err == nil {
		t.Error("the client did not notice")
	}
	gone := make(chan error, 1)
	go func() { gone <- server.Wait() }()
	select {
	case <-gone: // with an error in its own words
	case <-time.After(30 * time.Second):
		t.Fatal("the server goes on")
	}
	if err := o.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	l := o.await(t, func(l observe.Line) bool { return l.Event == "refused" })
	if l.Path != file.Name() || l.Filesystem != "ext4" || l.Owner == nil || l.Owner.PID != uint32(server.Process.Pid) ||
		l.Owner.Comm != "ib_write_bw" || l.RDMADevice == "" || l.Bytes != 128<<10 || l.Error != "EFAULT" {
		t.Errorf("%s%+v", l.Text(), l)
	}
	if summary, code := o.end(t); code != exit.Clean || summary.Refused == 0 || summary.Pinned != 0 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
	t.Logf("told:\n%s", o.told())
}
