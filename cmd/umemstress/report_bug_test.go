package main

import (
	"testing"
	"time"

	"umemstress/workload/record"
	"umemstress/workload/report/mail"
	"umemstress/workload/scenario"
)

// The command that a mail advises does what the record says was done.
func TestReportedCommand(t *testing.T) {
	r := &record.Record{
		Verdict:  record.Crashed,
		Scenario: scenario.Scenario{Holder: "rdma", Filesystem: "xfs", Strip: "none", Mutation: "punch-beside", Folios: "large"},
		File:     record.File{Bytes: 32 << 20},
		Regions:  []record.Region{{Kind: record.RegionFile, Bytes: 4 << 20, Offset: 8192}, {Kind: record.RegionAnonymous, Bytes: 2 << 20}},
		Settings: record.Settings{MessageBytes: 4096, QueuePairs: 3, Iterations: 7, Bidirectional: true, Seed: 9, Mutator: "child", Windows: true, WindowType: 2, Rereg: "memory", HugePages: true, HugePageBytes: 1 << 30},
	}
	o, err := parseRunFlags(t, mail.RunFlags(r)...)
	if err != nil {
		t.Fatal(err)
	}
	if o.Scenario != r.Scenario || o.FileBytes != 4<<20 || o.AnonBytes != 2<<20 || o.FileOffset != 8192 || o.FileLength != 32<<20 ||
		o.MessageBytes != 4096 || o.QueuePairs != 3 || o.Iterations != 7 || !o.Bidirectional || o.Seed != 9 || o.Mutator != "child" || o.Windows != 2 || o.Rereg != "memory" || o.HugePages != 1<<30 || !o.AllowCrash {
		t.Errorf("%q: %+v", mail.RunFlags(r), o)
	}
	r.Settings.Iterations, r.Settings.Seconds = 0, 10
	if o, err = parseRunFlags(t, mail.RunFlags(r)...); err != nil || o.Duration != 10*time.Second {
		t.Errorf("%q: %+v, %v", mail.RunFlags(r), o, err)
	}
}
