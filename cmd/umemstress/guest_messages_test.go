//go:build guest

package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// However the bytes of a message are put together here and taken apart there, what is lost is the same.
func TestMessagesOfPieces(t *testing.T) {
	for _, of := range [][]string{
		{"--backend", "uverbs", "--sge", "3", "--size", "5000", "--verb", "write"},
		{"--backend", "ibverbs", "--sge", "32", "--verb", "read", "--outs", "3"},
		{"--backend", "ibverbs", "--sge", "7", "--size", "65535", "--verb", "send"},
		{"--backend", "ibverbs", "--inline", "64", "--size", "64", "--verb", "write"},
		{"--backend", "uverbs", "--inline", "400", "--size", "256", "--verb", "send-imm", "--sge", "2"},
	} {
		r, _ := ran(t, append(of, "--bidirectional", "-q", "2", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 {
			t.Errorf("%q: %s (%s), want %s; %q", of, r.Verdict, r.Reason, *expectVerdict, r.Disagreements)
		}
		if s := r.Settings; s.Pieces+s.Inline < 3 || slices.Contains(of, "--outs") != (s.Reads == 3) {
			t.Errorf("%q: run.json has %+v", of, s)
		}
		if a := r.Channels.Arrival; *expectVerdict != "refused" && (a.CorruptPages > 0 || a.CheckedPages == 0) {
			t.Errorf("%q: what arrived: %+v", of, a)
		}
	}
}

// Traffic is as fast as it was asked to be, whoever carries it, and loses what it loses.
func TestRateLimit(t *testing.T) {
	const limit = 2 << 20
	for _, of := range []struct{ backend, verb, size string }{{"uverbs", "write", "65536"}, {"ibverbs", "write", "4096"}, {"uverbs", "send", "1000000"}, {"ibverbs", "read", "65536"}} {
		r, _ := ran(t, "--rate-limit", "2M", "--backend", of.backend, "--verb", of.verb, "--size", of.size, "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Settings.RateLimit != limit {
			t.Errorf("%+v: %s (%s), want %s; %q; %+v", of, r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Settings)
		}
		if rate := r.Traffic.BytesPerSecond; *expectVerdict != "refused" && (rate > 1.05*limit || rate < 0.5*limit) {
			t.Errorf("%+v: %.0f bytes a second, of %d", of, rate, limit)
		}
	}
}
