//go:build guest

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/rdma/providertest"
	"umemstress/workload/record"
)

// Who has pinned a file for reading is not given write access by re-registration, where the driver has it at all (rdma_rxe of 6.12),
// whoever has the region; what a device does not do is told before anything is written.
func TestRereg(t *testing.T) {
	for _, of := range [][]string{
		{"--rereg", "access", "--backend", "uverbs"},
		{"--rereg", "access", "--backend", "uverbs", "--release", "kill", "--verb", "send", "--mr", "4"},
		{"--rereg", "memory", "--backend", "uverbs", "--release", "parallel", "--mr", "4"},
	} {
		dir := filepath.Join(t.TempDir(), "evidence")
		args := append(of, "--observe", "require", "-o", dir)
		if of[1] == "access" && kernelHas(t, "rxe_rereg_user_mr") {
			r, code := ran(t, args...)
			if r.Verdict != record.Refused || code != exit.Clean || r.Settings.Rereg != "access" || !strings.Contains(r.Reason, "pinned for reading") {
				t.Errorf("%q: exit code %d, %s (%s)", of, code, r.Verdict, r.Reason)
			}
			continue
		}
		if of[1] == "memory" { // whose registration is not what is refused
			args = append(args, "--fs", "tmpfs", "--strip", "none")
		}
		_, stderr, code := outcome(t, small(args...)...)
		if code != exit.HostLacks || !strings.Contains(stderr, "re-register memory region of ") || !strings.Contains(stderr, "rdma_rxe of Linux 6.12 does so for another access") {
			t.Errorf("%q: exit code %d: %s", of, code, stderr)
		}
	}
}

// A region that is re-registered, by a device that has that, is pinned and loses the same, whether its keys stay or not.
func TestProviderRereg(t *testing.T) {
	p := providertest.New(t)
	for _, of := range []struct {
		flags []string
		want  uint32 // regions that are re-registered
	}{
		{[]string{"--rereg", "access", "--mr", "4", "-q", "2"}, 4},
		{[]string{"--rereg", "access", "--verb", "send", "--release", "kill"}, 1},
		{[]string{"--rereg", "memory", "--mr", "4", "--bidirectional"}, 1 + 4}, // the first is tried
		{[]string{"--rereg", "memory", "--verb", "write-imm", "-q", "2"}, 1 + 1},
	} {
		p.Reset()
		p.Set(providertest.Rereg, 1)
		p.Set(providertest.Keys, 1)
		r, _ := ran(t, append(of.flags, "--backend", "ibverbs", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		p.MustHaveOpened()
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Channels.Arrival.CorruptPages > 0 || r.Settings.Rereg != of.flags[1] {
			t.Errorf("%q: %s (%s), want %s; %q; %+v", of.flags, r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Channels.Arrival)
		}
		if got := p.Get(providertest.Reregistered); got != of.want {
			t.Errorf("%q: %d regions were re-registered, want %d", of.flags, got, of.want)
		}
	}
}

// The new keys of a region that is re-registered reach the other host, too, whose writes go on.
func TestProviderReregPeer(t *testing.T) {
	twoHosts(t)
	p := providertest.New(t)
	p.Set(providertest.Rereg, 1)
	r, _ := ran(t, "--rereg", "memory", "--mr", "4", "--backend", "ibverbs", "--ib-dev", hereDevice, "--peer", peerCommand(t, "--backend", "uverbs"),
		"--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
	p.MustHaveOpened()
	if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Channels.Arrival.CorruptPages > 0 || r.Channels.Arrival.CheckedPages == 0 {
		t.Errorf("%s (%s), want %s; %q; %+v", r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Channels.Arrival)
	}
	if got := p.Get(providertest.Reregistered); got != 1+4 {
		t.Errorf("%d regions were re-registered, want 5", got)
	}
}
