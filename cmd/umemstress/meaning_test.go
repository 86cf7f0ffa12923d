package main

import (
	"strings"
	"testing"

	"umemstress/workload"
)

// What a run means depends on who pinned and on where the bytes are.
func TestMeaning(t *testing.T) {
	ok := workload.StateOK
	for name, c := range map[string]struct {
		verdict  workload.Verdict
		holder   string
		channels workload.Channels
		want     string
	}{
		"rdma corrupts":  {workload.Corrupted, "rdma", workload.Channels{}, "arrive by RDMA WRITE"},
		"dio corrupts":   {workload.Corrupted, "dio", workload.Channels{}, "arrive by a direct read"},
		"in the cache":   {workload.DataLost, "rdma", workload.Channels{Cache: workload.CacheChannel{State: ok}}, "until the page is evicted"},
		"detached":       {workload.DataLost, "rdma", workload.Channels{Cache: workload.CacheChannel{State: ok, StalePages: 1}}, "no longer the file's"},
		"cache not read": {workload.DataLost, "rdma", workload.Channels{}, "has other bytes"},
		"told":           {workload.Exposed, "dio", workload.Channels{Disk: workload.DiskChannel{State: ok, StalePages: 1}}, "whoever asked was told"},
		"written":        {workload.Exposed, "dio", workload.Channels{Disk: workload.DiskChannel{State: ok}}, "right bytes"},
		"not read":       {workload.Exposed, "dio", workload.Channels{}, "was not seen"},
		"nothing":        {workload.Inconclusive, "rdma", workload.Channels{}, "see the reason"},
	} {
		r := &workload.Record{Verdict: c.verdict, Scenario: workload.Scenario{Holder: c.holder}, Channels: c.channels}
		if got := meaning(r); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q lacks %q", name, got, c.want)
		}
	}
}
