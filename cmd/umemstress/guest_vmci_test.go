//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// modulesOfVMCI are those of the host's side.
var modulesOfVMCI = []string{"vmw_vsock_vmci_transport", "vsock", "vmw_vmci"}

// No kernel refuses the pin of a VMCI queue pair, none sees it in reclaim, and every one of them
// loses what arrives: the channels agree to the page, the probes see the release in the
// run's own process, and the modules go with the run.
func TestVMCI(t *testing.T) {
	noModules(t, modulesOfVMCI, nothing)
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "vmci", "--observe", "require", "-o", dir)
	const pages = 512
	probes, disk, folios := r.Channels.Probes, r.Channels.Disk, r.Channels.Folios
	rise, _ := r.Channels.WarningRise()
	if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d; %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	// What the disk has instead depends on when the flusher came: the first write, too, is one that it
	// does not hear of.
	if probes.BufferlessPages != pages || disk.StalePages != pages || rise != pages || folios.StrippedPages != pages || r.Traffic.Bytes != 4<<20 {
		t.Errorf("the channels disagree: probes %d, disk %d stale, warning_count %d, frames %d, %d bytes sent", probes.BufferlessPages, disk.StalePages, rise, folios.StrippedPages, r.Traffic.Bytes)
	}
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"vmci"`, "vmci_qp_broker_detach+0x", `"comm":"` + r.Process.Comm + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
	noModules(t, modulesOfVMCI, nothing)
}

// saysHowFar is a line of --status-interval about a write phase.
var saysHowFar = regexp.MustCompile(`write: [0-9]+ s, [1-9][0-9]* operations, [1-9][0-9]* MiB, [0-9.]+ MiB/s`)

// Traffic for a time, as the customer's: it goes on through writeback and reclaim, and a write phase
// may end amid a pass.
func TestVMCITraffic(t *testing.T) {
	for _, traffic := range [][]string{{"-D", "2", "--status-interval", "500ms"}, {"-n", "37", "-s", "65536"}, {"--file-size", "18M", "--anon-size", "1M", "-s", "1000001", "-n", "50"}} {
		args := small("--holder", "vmci", "--strip", "drop-caches", "--format", "json", "-o", filepath.Join(t.TempDir(), "evidence"))
		stdout, stderr, _ := outcome(t, slices.Concat(args, traffic)...)
		var r record.Record
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v in %q; %s", err, stdout, stderr)
		}
		if slices.Contains(traffic, "-D") && !saysHowFar.MatchString(stderr) {
			t.Errorf("nobody was told how far it was: %s", stderr)
		}
		if len(r.Disagreements) > 0 || r.Channels.Cache.State != record.StateOK || r.Channels.Cache.StalePages != 0 {
			t.Errorf("%q: %s (%s), %q; not all bytes arrived: %+v", traffic, r.Verdict, r.Reason, r.Disagreements, r.Channels.Cache)
		}
	}
}

// A run that is killed amid its traffic leaves no module, either.
func TestVMCIKilled(t *testing.T) {
	killedIn(t, "phase write", "--holder", "vmci", "-D", "30")
	noModules(t, modulesOfVMCI, nothing)
}

// Who observes a machine with VMCI is told of its queue pairs, and whose they are.
func TestVMCIObserved(t *testing.T) {
	haveModules(t, modulesOfVMCI)
	observed(t, "vmci", true, record.DataLost)
}

// Where another module has the host's side of AF_VSOCK, nothing can be sent: one sentence.
func TestVMCIWithVhost(t *testing.T) {
	haveModules(t, []string{"vhost_vsock", "vsock"})
	stdout, stderr, code := outcome(t, small("--holder", "vmci", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "rmmod vhost_vsock") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
