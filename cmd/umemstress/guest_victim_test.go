//go:build guest

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// asVictim are the flags of a run that the peer does.
func asVictim(t *testing.T, flags ...string) []string {
	t.Helper()
	return append(flags, "--ib-dev", hereDevice, "--victim", "remote", "--peer", peerCommand(t, "--output", filepath.Join(t.TempDir(), "theirs")))
}

// The peer's file is lost like one of this host, and what proves it is here, and there no more.
func TestVictimRemote(t *testing.T) {
	holdFlusher(t)
	before := leftovers(t)
	twoHosts(t)
	scenario, want := granted()
	host, _ := os.Hostname()
	for _, more := range [][]string{
		{"--scenario", scenario, "--bidirectional", "-n", "128", "-q", "2", "--mr", "4"},
		{"--scenario", scenario, "--verb", "read", "--release", "kill"},
	} {
		theirs := filepath.Join(t.TempDir(), "theirs")
		r, _ := ran(t, append(more, "--ib-dev", hereDevice, "--victim", "remote", "--peer", peerCommand(t, "--output", theirs), "--observe", "require",
			"-o", filepath.Join(t.TempDir(), "evidence"))...)
		if string(r.Verdict) != want || len(r.Disagreements) > 0 || r.CleanupError != "" {
			t.Errorf("%q: %s (%s), want %s; %q, %s", more, r.Verdict, r.Reason, want, r.Disagreements, r.CleanupError)
		}
		if v, p := r.Victim, r.Device.Peer; v == nil || v.Host != host || v.For != host || p == nil || p.Name != hereDevice || r.Device.Name != thereDevice {
			t.Errorf("%q: run.json has %+v, %+v", more, v, r.Device)
		}
		if _, err := os.Stat(theirs); !os.IsNotExist(err) {
			t.Errorf("%q: the peer keeps evidence that is here: %v", more, err)
		}
	}
	if want != *expectVerdict { // so that no other run has told what this kernel says to ext4
		r, code := ran(t, asVictim(t, "--scenario", "rdma/ext4/pageout/none", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		if string(r.Verdict) != *expectVerdict || code != r.Verdict.ExitCode() {
			t.Errorf("%s (%s), exit code %d, want %s", r.Verdict, r.Reason, code, *expectVerdict)
		}
	}
	_, stderr, code := outcome(t, small(asVictim(t, "--file=/proc/nosuch", "-o", filepath.Join(t.TempDir(), "evidence"))...)...)
	if code != exit.Usage || !strings.Contains(stderr, "the peer on "+host+": --file /proc/nosuch") {
		t.Errorf("a file that cannot be made there: exit code %d, %s", code, stderr)
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// Two runs at once have a file on each host, and both verdicts are told.
func TestVictimBoth(t *testing.T) {
	holdFlusher(t)
	before := leftovers(t)
	twoHosts(t)
	scenario, want := granted()
	dir := filepath.Join(t.TempDir(), "evidence")
	stdout, stderr, code := outcome(t, small("--scenario", scenario, "--format", "json", "--ib-dev", hereDevice, "--victim", "both", "-o", dir,
		"--peer", peerCommand(t, "--output", filepath.Join(t.TempDir(), "theirs")))...)
	type side struct {
		Exit int
		Run  *record.Record
	}
	var told struct {
		Exit          int
		Local, Remote side
	}
	if err := json.Unmarshal([]byte(stdout), &told); err != nil || code != told.Exit || code != record.Verdict(want).ExitCode() {
		t.Fatalf("exit code %d, %v in %q; %s", code, err, stdout, stderr)
	}
	for where, s := range map[string]side{hereDevice: told.Local, thereDevice: told.Remote} {
		if s.Run == nil || s.Exit != code || string(s.Run.Verdict) != want || s.Run.Device.Name != where || len(s.Run.Disagreements) > 0 {
			t.Errorf("%s: %+v", where, s)
		}
	}
	for _, name := range []string{"local", "remote"} {
		if r, err := evidence.Load(filepath.Join(dir, name)); err != nil || string(r.Verdict) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// Whichever side is killed or interrupted, the other one ends, nothing is left, and the evidence until then is here.
func TestVictimDies(t *testing.T) {
	before := leftovers(t)
	twoHosts(t)
	host, _ := os.Hostname()
	scenario, _ := granted()
	for _, c := range []struct {
		who    string
		signal unix.Signal
		code   int
		says   string
	}{
		{"the peer", unix.SIGKILL, exit.Failed, "the peer on " + host + " has ended"},
		{"the peer", unix.SIGINT, exit.Failed, "the peer on " + host + ": interrupted"},
		{"the run", unix.SIGINT, exit.Interrupted, "interrupted"},
		{"the run", unix.SIGKILL, -1, ""},
	} {
		dir := filepath.Join(t.TempDir(), "evidence")
		run := begin(t, host+": phase write", small(asVictim(t, "--scenario", scenario, "-D", "60", "-o", dir)...)...)
		if c.who == "the run" {
			run.signal(t, c.signal)
		} else {
			signalPeers(t, run, c.signal)
		}
		if code := run.end(t, time.Minute); code != c.code || !strings.Contains(run.log.text.String(), c.says) {
			t.Errorf("%v of %s: exit code %d, want %d, %q: %s", c.signal, c.who, code, c.code, c.says, &run.log.text)
		}
		if r, err := evidence.Load(dir); err != nil || r.Victim == nil || len(r.Phases) < 1 {
			t.Errorf("%v of %s: its evidence: %v", c.signal, c.who, err)
		}
		wantNoPeers(t)
		for began := time.Now(); leftovers(t) != before; time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%v of %s: left behind:\n%s\nbefore:\n%s", c.signal, c.who, leftovers(t), before)
			}
		}
	}
}
