package workload

import (
	"time"

	"umemstress/workload/scenario"
)

// preset is a named set of options.
type preset struct {
	scenario.Choice
	options func() Options
}

// Everything is the preset of more than one scenario: who runs it goes through
// Scenarios.
const Everything = "everything"

// presets are all presets. Adding one takes a line here.
func presets() []preset {
	return []preset{
		{Choice: scenario.Choice{Name: "quick", What: "the shortest run that proves a loss: one pass over 64 MiB, seconds long"}, options: quick},
		{Choice: scenario.Choice{Name: "customer", What: "one region on ext4 and one anonymous, two minutes of traffic both ways, through writeback and memory pressure, stop, release, msync"}, options: customer},
		{Choice: scenario.Choice{Name: "kara", What: "the race that Jan Kara described in 2018: an O_DIRECT read into a mapping of the file is in flight while reclaim strips it"}, options: kara},
		{Choice: scenario.Choice{Name: "clone", What: "a reflink copy on XFS is taken while an O_DIRECT read is in flight into its original"}, options: clone},
		{Choice: scenario.Choice{Name: "live", What: "the worst of what the newest kernels still do that this host can show, seconds long; with a part of the scenario given: an O_DIRECT read into a part of a large folio of ext4, stripped by MADV_PAGEOUT"}, options: live},
		{Choice: scenario.Choice{Name: "longterm", What: "the customer's case on the newest kernels: a VMCI queue pair, which no kernel refuses to pin, two minutes of traffic, through writeback and memory pressure, stop, release, msync"}, options: longterm},
		{Choice: scenario.Choice{Name: Everything, What: "every scenario that makes sense in any folios, one after the other, each over 2 MiB and in natural folios; the exit code is the worst verdict's"}, options: everything},
	}
}

// Presets returns the names that Preset knows, with a line on each.
func Presets() []scenario.Choice { return scenario.ChoicesOf(presets()) }

// Preset returns the options of a named preset.
func Preset(name string) (Options, error) {
	p, ok := scenario.Find(presets(), name)
	if !ok {
		var names []string
		for _, c := range Presets() {
			names = append(names, c.Name)
		}
		return Options{}, oneOf("preset", name, names)
	}
	return p.options(), nil
}

func customer() Options {
	o := quick()
	o.Scenario.Strip = "pressure"
	o.Duration = time.Minute // in each of the two write phases
	o.Bidirectional = true
	return o
}

func longterm() Options {
	o := customer()
	o.Scenario.Holder = "vmci"
	o.Bidirectional = false
	return o
}

func kara() Options {
	o := quick()
	o.Scenario.Holder = "dio"
	o.FileBytes, o.AnonBytes = 16<<20, 16<<20
	return o
}

func everything() Options {
	o := quick()
	o.FileBytes, o.AnonBytes = 2<<20, 2<<20
	return o
}

func clone() Options {
	o := kara()
	o.Scenario = scenario.Scenario{Holder: "dio", Filesystem: "xfs", Strip: "none", Mutation: "reflink", Folios: scenario.Natural}
	return o
}

// live are the options that --preset live and a part of the scenario start from; without one, it is the
// worst of liveFindings.
func live() Options {
	o := quick()
	o.Scenario = scenario.Scenario{Holder: "dio", Filesystem: "ext4", Strip: "pageout", Mutation: "none", Folios: "large"}
	o.Candidates = liveFindings()
	o.FileBytes, o.AnonBytes = 1<<20, 1<<20
	return o
}

// liveFindings are what kernels as new as 7.2 do, worst first: lost data of which nobody is told comes
// before a clone that changes, and that before what never reaches a server; and of those that lose data
// the first are what takes least to come by.
func liveFindings() []Candidate {
	of := func(holder, fs, strip, mutation, folios, harm string) Candidate {
		return Candidate{Scenario: scenario.Scenario{Holder: holder, Filesystem: fs, Strip: strip, Mutation: mutation, Folios: folios}, Harm: harm}
	}
	return []Candidate{
		of("nfs", "ext4", "none", "none", "large", "a direct read from NFS into large folios of ext4 is lost to writeback alone"),
		of("nfs", "xfs", "none", "none", scenario.Natural, "a direct read from NFS into large folios of XFS is lost to writeback alone"),
		of("nfs", "ext4", "pageout", "none", scenario.Natural, "a direct read from NFS into ext4 is lost to writeback and reclaim, in folios of any size"),
		of("vmci", "ext4", "pageout", "none", scenario.Natural, "what comes over a VMCI queue pair in ext4 is lost to writeback and reclaim, in folios of any size"),
		of("dio", "ext4", "pageout", "none", "large", "a direct read into a part of a large folio of ext4 is lost to MADV_PAGEOUT"),
		of("vmwritev", "ext4", "pageout", "none", "large", "process_vm_writev into a part of a large folio of ext4 is lost to MADV_PAGEOUT"),
		of("dio", "xfs", "none", "reflink", scenario.Natural, "a clone that nobody wrote to changes"),
		of("dio", "nfs", "none", "none", scenario.Natural, "a direct read into a file on NFS never reaches the server"),
	}
}
