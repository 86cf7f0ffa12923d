//go:build guest

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// ranksHere are ranks of a job, all on this host, as mpirun would start them.
func ranksHere(dir string, size int, format string, flags ...string) []*exec.Cmd {
	var all []*exec.Cmd
	for rank := range size {
		args := append([]string{"-v", "job", "--dir", dir, "--address", "127.0.0.1", "--format", format, "--", "--file-size", "2M", "--anon-size", "2M"}, flags...)
		cmd := command(args...)
		cmd.Env = append(cmd.Env, fmt.Sprintf("OMPI_COMM_WORLD_RANK=%d", rank), fmt.Sprintf("OMPI_COMM_WORLD_SIZE=%d", size))
		all = append(all, cmd)
	}
	return all
}

// ended waits for a process that is to end within a minute, and has its exit code.
func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	bound := time.AfterFunc(time.Minute, func() {
		t.Errorf("%q does not end", cmd.Args)
		_ = cmd.Process.Kill()
	})
	defer bound.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// Four ranks are two runs at once, each with a peer of its own, and rank 0 tells of all.
func TestJob(t *testing.T) {
	holdFlusher(t)
	before := leftovers(t)
	dir := filepath.Join(t.TempDir(), "job")
	all := ranksHere(dir, 4, "json", "--scenario", "rdma/ext4/pageout/none")
	outs, logs := make([]bytes.Buffer, len(all)), make([]bytes.Buffer, len(all))
	for rank, cmd := range all {
		cmd.Stdout, cmd.Stderr = &outs[rank], &logs[rank]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for rank, cmd := range all {
		want := exit.Clean
		if rank == 0 {
			want = record.Verdict(*expectVerdict).ExitCode()
		}
		if code := ended(t, cmd); code != want || rank != 0 && outs[rank].Len() > 0 {
			t.Errorf("rank %d: exit code %d, want %d: %s%s", rank, code, want, &outs[rank], &logs[rank])
		}
	}
	var printed struct {
		Exit     int
		Outcomes []struct {
			Verdict string
			Device  *record.Device
			Hit     uint64 `json:"hit_pages"`
			Of      uint64 `json:"pages"`
		}
	}
	if err := json.Unmarshal(outs[0].Bytes(), &printed); err != nil || len(printed.Outcomes) != 4 {
		t.Fatalf("%v: %s", err, &outs[0])
	}
	for _, even := range []int{0, 2} {
		o := printed.Outcomes[even]
		if o.Verdict != *expectVerdict || o.Device == nil || o.Device.Peer == nil || o.Device.Peer.Name != o.Device.Name {
			t.Errorf("rank %d: %+v, want %s", even, o, *expectVerdict)
		}
		if o.Verdict == string(record.DataLost) && (o.Hit != 512 || o.Of != 512) {
			t.Errorf("rank %d lost %d of %d pages, want 512 of 512", even, o.Hit, o.Of)
		}
		var r record.Record
		text := readFile(t, filepath.Join(dir, "rank-"+strconv.Itoa(even), "run.json"))
		if err := json.Unmarshal([]byte(text), &r); err != nil || string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 {
			t.Errorf("the evidence of rank %d says %s (%s), %q, %v", even, r.Verdict, r.Reason, r.Disagreements, err)
		}
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// Whichever side of a pair is killed or asked to end, the other one ends too, and nothing is left.
func TestJobRankDies(t *testing.T) {
	scenario, _ := granted()
	before := leftovers(t)
	for _, c := range []struct {
		rank   int
		signal unix.Signal
		codes  [2]int // of a process that was killed, -1
		says   string // of rank 0
	}{
		{0, unix.SIGKILL, [2]int{-1, exit.Clean}, ""},
		{1, unix.SIGKILL, [2]int{exit.Failed, -1}, "rank 1 told nothing"},
		{0, unix.SIGTERM, [2]int{exit.Interrupted, exit.Clean}, "interrupted"},
		{1, unix.SIGINT, [2]int{exit.Failed, exit.Interrupted}, "the peer on "},
	} {
		all := ranksHere(filepath.Join(t.TempDir(), "job"), 2, "text", "--scenario", scenario, "-D", "60")
		watch := newPhaseWatch("phase write")
		var out bytes.Buffer
		all[0].Stdout, all[0].Stderr = &out, watch
		for _, cmd := range all {
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-watch.found:
		case <-time.After(time.Minute):
			t.Errorf("no traffic after a minute: %s", &watch.text)
		}
		if err := all[c.rank].Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		for rank, cmd := range all {
			if code := ended(t, cmd); code != c.codes[rank] {
				t.Errorf("%v of rank %d: rank %d ends with %d, want %d: %s%s", c.signal, c.rank, rank, code, c.codes[rank], &out, &watch.text)
			}
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%v of rank %d: no %q in %s", c.signal, c.rank, c.says, &out)
		}
		for began := time.Now(); leftovers(t) != before; time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%v of rank %d: left behind:\n%s\nbefore:\n%s", c.signal, c.rank, leftovers(t), before)
			}
		}
		if found, err := exec.Command("pgrep", "-f", "job-bridge|job --dir").CombinedOutput(); err == nil {
			t.Errorf("%v of rank %d: still there: %s", c.signal, c.rank, found)
		}
	}
}
