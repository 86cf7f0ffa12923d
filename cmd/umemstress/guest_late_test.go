//go:build guest

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// What befalls the servers of the run's own that answer reads late.

// heldByServer is a run that was stopped with its reads in flight.
type heldByServer struct {
	holder string
	cmd    *exec.Cmd
	log    *phaseWatch
}

// holdByServer begins one.
func holdByServer(t *testing.T, holder string) *heldByServer {
	t.Helper()
	h := &heldByServer{
		holder: holder,
		cmd:    command(append([]string{"-v"}, small("--holder", holder, "-o", filepath.Join(t.TempDir(), "evidence"))...)...),
		log:    newPhaseWatch("phase write"),
	}
	h.cmd.Stderr = h.log
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.cmd.Process.Kill() }) // of a test that has failed
	<-h.log.found
	h.signal(t, syscall.SIGSTOP) // so that it is not over before
	return h
}

func (h *heldByServer) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := h.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// signalServer sends the run's own server a signal, or the process that has the host's serve the run.
func (h *heldByServer) signalServer(t *testing.T, s string) {
	t.Helper()
	if out, err := exec.Command("pkill", "-"+s, "-f", "^/proc/self/exe "+h.holder+"-(server|session) ").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// wait is how the run ended, which a minute is enough for.
func (h *heldByServer) wait() int {
	bound := time.AfterFunc(time.Minute, func() { _ = h.cmd.Process.Kill() })
	defer bound.Stop()
	_ = h.cmd.Wait() // the exit code is looked at
	return h.cmd.ProcessState.ExitCode()
}

// serverKilled has somebody kill the server amid the reads: the kernel fails them, the run says so in a
// sentence and leaves nothing, and the next one is as if nothing had been.
func serverKilled(t *testing.T, holder, by string, modules []string, ends record.Verdict) {
	t.Helper()
	h := holdByServer(t, holder)
	h.signalServer(t, "KILL")
	h.signal(t, syscall.SIGCONT)
	code := h.wait()
	log := h.log.text.String()
	if code != exit.Failed || !strings.Contains(log, "the run's own "+by+" server ended (signal: killed), and no read holds a page any more") {
		t.Errorf("exit code %d: %s", code, log)
	}
	noModules(t, modules, nothing)
	if r, _ := ran(t, "--holder", holder, "-o", filepath.Join(t.TempDir(), "evidence")); r.Verdict != ends {
		t.Errorf("the next run: %s (%s)", r.Verdict, r.Reason)
	}
	noModules(t, modules, nothing)
}

// serverStopped has a server that answers nothing, to no signal of the run's end: it is interrupted all the same.
func serverStopped(t *testing.T, holder string, modules []string) {
	t.Helper()
	h := holdByServer(t, holder)
	h.signalServer(t, "STOP")
	h.signal(t, syscall.SIGCONT)
	time.Sleep(500 * time.Millisecond) // until it waits for answers
	h.signal(t, syscall.SIGINT)
	if code := h.wait(); code != exit.Interrupted {
		t.Errorf("exit code %d: %s", code, h.log.text.String())
	}
	noModules(t, modules, nothing)
}
