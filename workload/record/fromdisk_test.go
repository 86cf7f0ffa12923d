package record

import (
	"encoding/json"
	"strings"
	"testing"
)

// A channel that does not know where bytes came from vouches for none; and what it found to be
// wrong in those that it knows of stands.
func TestFromDisk(t *testing.T) {
	unproven := FromDisk{Proof: ProofDirect, DirectPages: 5, UnprovenPages: 3}
	for name, c := range map[string]struct {
		proof  FromDisk
		stale  uint64
		probes string
		state  string
		want   Verdict
	}{
		"all proven":              {FromDisk{Proof: ProofDirect, DirectPages: 8}, 0, "nothing", StateOK, Clean},
		"some are not":            {unproven, 0, "nothing", StateFailed, Inconclusive},
		"none is":                 {FromDisk{UnprovenPages: 8}, 0, "nothing", StateFailed, Inconclusive},
		"some are, and wrong":     {unproven, 2, "absent", StateOK, DataLost},
		"harm that others saw":    {unproven, 0, "bufferless", StateFailed, Reproduced},
		"evidence without proofs": {FromDisk{}, 0, "nothing", StateOK, Clean},
	} {
		r := record("ext4", "done", c.probes, "nothing", "intact", "absent")
		r.Channels.Kmsg = KmsgChannel{State: StateAbsent}
		d := &r.Channels.Disk
		d.FromDisk, d.StalePages, d.CheckedPages = c.proof, c.stale, 8-c.proof.UnprovenPages
		d.State, d.Why = d.StateOf(c.stale, nil)
		got, why := Judge(r)
		if d.State != c.state || got != c.want {
			t.Errorf("%s: %s, %s (%s), want %s and %s", name, d.State, got, why, c.state, c.want)
		}
		if d.State == StateFailed && !strings.Contains(why, "pages stay in the page cache") {
			t.Errorf("%s: the reason does not say why: %s", name, why)
		}
	}
}

// The proof stands beside the channel's counts.
func TestFromDiskWritten(t *testing.T) {
	raw, err := json.Marshal(CloneChannel{State: StateOK, CheckedPages: 8, FromDisk: FromDisk{Proof: ProofEvicted}})
	if want := `{"state":"ok","checked_pages":8,"proof":"evicted"}`; err != nil || string(raw) != want {
		t.Errorf("%s, %v; want %s", raw, err, want)
	}
}
