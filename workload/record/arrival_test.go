package record

import (
	"slices"
	"strings"
	"testing"
)

// What was corrupted in flight has its own word and is no loss on the disk; a loss beside it stands.
func TestJudgeCorrupt(t *testing.T) {
	first := int64(4097)
	corrupt := ArrivalChannel{State: StateOK, Looks: 2, CheckedPages: 16, CorruptPages: 1, CorruptBytes: 5, FirstCorrupt: &first}
	for name, of := range map[string]struct {
		record *Record
		want   Verdict
	}{
		"nothing else":        {record("ext4", "done", "nothing", "nothing", "intact", "absent"), Inconclusive},
		"a loss beside":       {record("ext4", "done", "bufferless", "bufferless", "stale", "absent"), DataLost},
		"a clone beside":      {record("xfs", "done", "nothing", "nothing", "intact", "changed"), Corrupted},
		"no loss, reproduced": {record("ext4", "done", "bufferless", "bufferless", "intact", "absent"), Reproduced},
	} {
		r := of.record
		r.Channels.Arrival = corrupt
		if r.Channels.Disk.State == StateOK && r.Channels.Disk.StalePages == 0 {
			r.Channels.Disk.CheckedPages-- // the page is left out there
		}
		r.Conclude()
		if r.Verdict != of.want {
			t.Errorf("%s: %s (%s), want %s", name, r.Verdict, r.Reason, of.want)
		}
		if of.want == Inconclusive && !strings.Contains(r.Reason, "traffic corrupt: 5 bytes of 1 pages arrived other than they were sent, the first at byte 4097 of the region") {
			t.Errorf("%s: %s", name, r.Reason)
		}
		if !slices.Contains(r.Consequences, "traffic-corrupt: 5 bytes") {
			t.Errorf("%s: %q", name, r.Consequences)
		}
	}
	unreliable := record("ext4", "done", "nothing", "nothing", "intact", "absent")
	unreliable.Channels.Arrival, unreliable.Settings.Connection = corrupt, "UC"
	if _, why := Judge(unreliable); !strings.Contains(why, "corrupted or, as UC repeats nothing, dropped in flight") {
		t.Errorf("over a connection that repeats nothing: %s", why)
	}
	r := record("ext4", "done", "nothing", "nothing", "intact", "absent")
	r.Channels.Arrival = ArrivalChannel{State: StateOK, CheckedPages: 16, Looks: 2}
	if v, why := Judge(r); v != Clean {
		t.Errorf("nothing corrupt: %s (%s)", v, why)
	}
	r.Channels.Arrival.CorruptPages = 17
	if v, why := Judge(r); v != Inconclusive || !strings.Contains(why, "cannot be believed") {
		t.Errorf("more than there are: %s (%s)", v, why)
	}
	r.Channels.Arrival = corrupt
	r.Channels.Arrival.DisplacedPages = 17
	if v, why := Judge(r); v != Inconclusive || !strings.Contains(why, "17 pages are found to begin with bytes that belong further on in them, and yet there are 16") {
		t.Errorf("more than were looked at: %s (%s)", v, why)
	}
}
