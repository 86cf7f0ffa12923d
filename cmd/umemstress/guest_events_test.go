//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// What takes the device from a run in the middle of its traffic ends the run: with the reason, with the evidence
// until then, and with nothing left behind.
func TestDeviceTakenAway(t *testing.T) {
	const (
		link, gone = `rdma link del rxeut`, "the RDMA device is gone" // it returns when the run has closed the device
		here       = `ip link set ut0 down`
		peer       = `ip link set ut1 down`
		down       = "port 1 of device rxeut: the port went down while it was in use"
	)
	for name, of := range map[string]struct{ by, says, backend, verb string }{
		"link deleted":                     {link, gone, "uverbs", "write"},
		"link deleted, ibverbs":            {link, gone, "ibverbs", "send"},
		"netdev down":                      {here, down, "uverbs", "send"},
		"netdev down, ibverbs":             {here, down, "ibverbs", "write"},
		"netdev of the peer down":          {peer, down, "uverbs", "write"},
		"netdev of the peer down, ibverbs": {peer, down, "ibverbs", "send"},
	} {
		t.Run(name, func(t *testing.T) { takeAway(t, of.by, of.says, "--backend", of.backend, "--verb", of.verb) })
	}
}

func takeAway(t *testing.T, by, says string, args ...string) {
	shell(t, `ip link add ut0 type veth peer name ut1; ip link set ut0 up; ip link set ut1 up; ip addr add 10.99.0.1/24 dev ut0
		rdma link add rxeut type rxe netdev ut0
		until grep -q ACTIVE /sys/class/infiniband/rxeut/ports/1/state; do sleep 0.1; done`)
	defer shell(t, `[ ! -e /sys/class/infiniband/rxeut ] || rdma link del rxeut; ip link del ut0`)
	before := leftovers(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	// tmpfs is a file system of which no kernel refuses the pin.
	run := begin(t, "phase write", small(append(args, "--fs", "tmpfs", "--strip", "none", "-d", "rxeut", "-D", "60", "-o", dir)...)...)
	time.Sleep(300 * time.Millisecond) // so that there is traffic
	shell(t, by)
	code := run.end(t, 20*time.Second)
	stderr := run.log.text.String()
	if code != exit.HostLacks || !strings.Contains(stderr, says) || !strings.Contains(stderr, "the evidence until then is in "+dir) {
		t.Errorf("exit code %d, want %d and %q: %s", code, exit.HostLacks, says, stderr)
	}
	var r record.Record
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "run.json"))), &r); err != nil {
		t.Fatal(err)
	}
	last := r.Phases[len(r.Phases)-1]
	if last.Name != "write" || last.Outcome != record.OutcomeFailed || !last.HostLacks || !strings.Contains(last.Detail, says) || r.Traffic.Operations == 0 {
		t.Errorf("the evidence has %+v, and of traffic %+v", last, r.Traffic)
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}
