package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Scenario is what a run does: who pins, over which file system, how the pages
// are stripped of their buffers and what happens to the file meanwhile.
type Scenario struct {
	Holder     string `json:"holder"`
	Filesystem string `json:"filesystem"`
	Strip      string `json:"strip"`
	Mutation   string `json:"mutation"`
}

func (s Scenario) String() string {
	return strings.Join([]string{s.Holder, s.Filesystem, s.Strip, s.Mutation}, "/")
}

// The phases of a run, in order. Their names stand in run.json.
const (
	PhasePrepare    = "prepare"
	PhasePin        = "pin"
	PhaseWrite      = "write"
	PhaseClean      = "clean"
	PhaseStrip      = "strip"
	PhaseWriteAgain = "write-again"
	PhaseRelease    = "release"
	PhaseSettle     = "settle"
	PhaseVerify     = "verify"
)

// Phases returns the names of the phases in the order in which they run.
func Phases() []string {
	return []string{
		PhasePrepare, PhasePin, PhaseWrite, PhaseClean, PhaseStrip,
		PhaseWriteAgain, PhaseRelease, PhaseSettle, PhaseVerify,
	}
}

// The tables below are all that a scenario can be made of: flags, their help
// and validation read them. Each name has one line on what it means.
var (
	holders = map[string]string{
		"rdma": "an RDMA memory region registered over the mapping",
	}
	filesystems = map[string]string{
		"ext4": "buffer heads on every page; drops a dirty page that has none",
	}
	strips = map[string]string{
		"pageout": "madvise(MADV_PAGEOUT): reclaim takes the buffers of the pinned pages",
		"none":    "nothing is stripped: the control",
	}
	mutations = map[string]string{
		"none": "nothing happens to the file while it is pinned",
	}
)

// Choices returns the names that a scenario's part ("holder", "fs", "strip",
// "mutation") can have, sorted.
func Choices(part string) []string {
	return slices.Sorted(maps.Keys(table(part)))
}

func table(part string) map[string]string {
	switch part {
	case "holder":
		return holders
	case "fs":
		return filesystems
	case "strip":
		return strips
	case "mutation":
		return mutations
	}
	return nil
}

// Validate says whether the scenario's parts exist.
func (s Scenario) Validate() error {
	for _, part := range []struct{ flag, value string }{
		{"holder", s.Holder}, {"fs", s.Filesystem}, {"strip", s.Strip}, {"mutation", s.Mutation},
	} {
		if err := oneOf(part.flag, part.value, Choices(part.flag)); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(flag, value string, choices []string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return usagef("--%s %s: choose %s", flag, value, strings.Join(choices, " or "))
}

// Describe returns one line on a choice, for help texts.
func Describe(part string) string {
	var lines []string
	for _, name := range Choices(part) {
		lines = append(lines, fmt.Sprintf("%s (%s)", name, table(part)[name]))
	}
	return strings.Join(lines, "; ")
}
