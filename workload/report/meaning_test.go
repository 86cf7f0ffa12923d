package report

import (
	"strings"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// What a run means depends on who pinned and on where the bytes are.
func TestMeaning(t *testing.T) {
	ok := record.StateOK
	for name, c := range map[string]struct {
		verdict  record.Verdict
		arrival  string
		channels record.Channels
		want     string
	}{
		"rdma corrupts":  {record.Corrupted, "RDMA WRITE", record.Channels{}, "arrive by RDMA WRITE"},
		"dio corrupts":   {record.Corrupted, "a direct read", record.Channels{}, "arrive by a direct read"},
		"in the cache":   {record.DataLost, "RDMA WRITE", record.Channels{Cache: record.CacheChannel{State: ok}}, "until the page is evicted"},
		"detached":       {record.DataLost, "RDMA WRITE", record.Channels{Cache: record.CacheChannel{State: ok, StalePages: 1}}, "no longer the file's"},
		"cache not read": {record.DataLost, "RDMA WRITE", record.Channels{}, "has other bytes"},
		"told":           {record.Exposed, "a direct read", record.Channels{Disk: record.DiskChannel{State: ok, StalePages: 1}}, "whoever asked was told"},
		"written":        {record.Exposed, "a direct read", record.Channels{Disk: record.DiskChannel{State: ok}}, "right bytes"},
		"not read":       {record.Exposed, "a direct read", record.Channels{}, "was not seen"},
		"nothing":        {record.Inconclusive, "RDMA WRITE", record.Channels{}, "see the reason"},
	} {
		r := &record.Record{Verdict: c.verdict, Facts: &scenario.Facts{Arrival: c.arrival}, Channels: c.channels}
		if got := meaning(r); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q lacks %q", name, got, c.want)
		}
	}
}
