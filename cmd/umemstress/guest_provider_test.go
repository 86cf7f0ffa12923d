//go:build guest

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/rdma"
	"umemstress/rdma/providertest"
)

// A run through a provider of libibverbs that differs on purpose from soft-RoCE's own comes to the same verdict.
func TestProviderRun(t *testing.T) {
	p := providertest.New(t)
	for knob, value := range map[providertest.Knob]uint32{
		providertest.Keys: 1, providertest.More: 17, providertest.Junk: 1, providertest.AtOnce: 3, providertest.Unguarded: 1, providertest.Take: 5,
	} {
		p.Set(knob, value)
	}
	r, _ := ran(t, "--backend", "ibverbs", "--verb", "send-imm", "--bidirectional", "-q", "2", "--sge", "3", "--size", "4096", "--file-size", "1M", "--anon-size", "1M", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
	p.MustHaveOpened()
	if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Channels.Arrival.CorruptPages > 0 {
		t.Errorf("%s (%s), want %s; %q; %+v", r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Channels.Arrival)
	}
	if p.Get(providertest.Short) == 0 {
		t.Error("no post was cut short")
	}
}

// What the device tells in the middle of the traffic ends the run, and so does a request that fails, with its status and the vendor's error.
func TestProviderEndsRun(t *testing.T) {
	p := providertest.New(t)
	const after = 100 // requests
	for what, of := range map[string]struct {
		knobs map[providertest.Knob]uint32
		code  int
		says  []string
	}{
		"queue pair":  {map[providertest.Knob]uint32{providertest.Event: 1 + 1}, exit.Failed, []string{"queue pair ", "(fatal error)"}},
		"device":      {map[providertest.Knob]uint32{providertest.Event: 8 + 1}, exit.HostLacks, []string{"the RDMA device is gone"}},
		"port":        {map[providertest.Knob]uint32{providertest.Event: 10 + 1, providertest.EventPort: 1}, exit.HostLacks, []string{"the port went down while it was in use"}},
		"nothing bad": {map[providertest.Knob]uint32{providertest.Event: 18 + 1, providertest.Full: 1}, exit.Clean, nil},
		"full":        {map[providertest.Knob]uint32{providertest.Full: 1 << 30}, exit.Failed, []string{"the send queue is full with ", "give a smaller --tx-depth"}},
		"a request":   {map[providertest.Knob]uint32{providertest.Status: 7 + 1, providertest.Vendor: 0x77}, exit.Failed, []string{"bad response from the remote queue pair, vendor error 0x77"}},
	} {
		t.Run(what, func(t *testing.T) {
			p.Reset()
			p.Set(providertest.EventAt, after)
			for knob, value := range of.knobs {
				p.Set(knob, value)
			}
			before := leftovers(t)
			dir := filepath.Join(t.TempDir(), "evidence")
			_, stderr, code := outcome(t, small("--backend", "ibverbs", "--fs", "tmpfs", "--strip", "none", "--size", "4096", "--observe", "off", "-o", dir)...)
			p.MustHaveOpened()
			if code != of.code {
				t.Errorf("exit code %d, want %d: %s", code, of.code, stderr)
			}
			for _, text := range of.says {
				if !strings.Contains(stderr, text) {
					t.Errorf("%q is missing in %s", text, stderr)
				}
			}
			if p.Get(providertest.Taken) < after || p.Get(providertest.Event) != 0 || p.Get(providertest.Status) != 0 {
				t.Error("the run ended before it happened")
			}
			if after := leftovers(t); after != before {
				t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// A device that has no shared receive queues and no atomic operations is told to have none, and to be of use.
func TestProviderCheck(t *testing.T) {
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	p := providertest.New(t)
	p.Set(providertest.NoAtomics, 1)
	p.Set(providertest.NoSRQ, 1)
	p.Set(providertest.Junk, 1)
	stdout, stderr, code := outcome(t, "check", "--device", device.Name, "--backend", "ibverbs", "--output-file", filepath.Join(t.TempDir(), "seen.json"))
	p.MustHaveOpened()
	if code != exit.Clean {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	for step, want := range map[string]string{"atomics": "absent", "shared receives": "absent", "message": "ok", "immediates": "ok", "datagrams": "ok"} {
		if !regexp.MustCompile(`(?m)^` + step + ` +` + want + `\b`).MatchString(stdout) {
			t.Errorf("%s is not %s in %s", step, want, stdout)
		}
	}
}
