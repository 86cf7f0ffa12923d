package record_test

import (
	"fmt"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// A record is judged by what is in it: here the disk lacks what fsync had promised, and
// nothing else was watched.
func ExampleJudge() {
	r := &record.Record{
		Scenario: scenario.Scenario{Holder: "rdma", Filesystem: "ext4", Strip: "pageout", Mutation: "none"},
		Facts:    &scenario.Facts{Arrival: "RDMA WRITE", DropsBufferless: true, Heals: true},
		Regions:  []record.Region{{Kind: record.RegionFile, Bytes: 64 << 20, Pages: 16384}},
		Settled:  &record.Settled{Msync: "0", Fsync: "0"},
		Channels: record.NoChannels(),
	}
	for _, name := range scenario.Phases() {
		r.Phases = append(r.Phases, record.Phase{Name: name, Outcome: record.OutcomeDone})
	}
	r.Channels.Disk = record.DiskChannel{State: record.StateOK, CheckedPages: 16384, StalePages: 16384}
	verdict, why := record.Judge(r)
	fmt.Println(verdict, verdict.ExitCode())
	fmt.Println(why)
	// Output:
	// data-lost 12
	// msync and fsync returned 0, yet 16384 of 16384 pages on disk are not what was written
}
