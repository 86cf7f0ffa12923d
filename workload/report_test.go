package workload

import (
	"slices"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/report/mail"
)

// A mail that says how to do a run again leaves out what a run does by itself: it has the same defaults.
func TestReportedGeometry(t *testing.T) {
	for _, c := range Presets() {
		if c.Name == Everything {
			continue
		}
		o, err := Preset(c.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, mutation := range []string{"none", "punch-beside", "write-beside", "punch-apart"} {
			o.Scenario.Mutation = mutation
			offset, length := o.geometry()
			r := &record.Record{
				Scenario: o.Scenario, File: record.File{Bytes: length}, Settings: record.Settings{Seed: o.Seed, MessageBytes: o.MessageBytes},
				Regions: []record.Region{{Kind: record.RegionFile, Bytes: int(o.FileBytes), Offset: offset}},
			}
			flags := mail.RunFlags(r)
			for _, flag := range []string{"--file-offset", "--file-length", "--seed", "--size"} {
				if slices.Contains(flags, flag) {
					t.Errorf("%s, %s: %q", c.Name, mutation, flags)
				}
			}
			quick := quick()
			if given := slices.Contains(flags, "--file-size"); given == (o.FileBytes == quick.FileBytes) {
				t.Errorf("%s: %q", c.Name, flags)
			}
		}
	}
}
