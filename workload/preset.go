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
		{Choice: scenario.Choice{Name: "live", What: "the loss on the newest kernels: an O_DIRECT read into a part of a file that is held in large folios, stripped by MADV_PAGEOUT; a second long"}, options: live},
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

func live() Options {
	o := quick()
	o.Scenario = scenario.Scenario{Holder: "dio", Filesystem: "ext4", Strip: "pageout", Mutation: "none", Folios: "large"}
	o.FileBytes, o.AnonBytes = 1<<20, 1<<20
	return o
}
