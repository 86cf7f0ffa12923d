package workload

import (
	"fmt"
	"strings"
)

// Scenario is what a run does: who pins, over which file system, how the pages
// are stripped of their buffers and what happens to the file meanwhile. It is
// written holder/filesystem/strip/mutation, the same in flags, in run.json and in
// the expectations of the kernel matrix.
type Scenario struct {
	Holder     string `json:"holder"`
	Filesystem string `json:"filesystem"`
	Strip      string `json:"strip"`
	Mutation   string `json:"mutation"`
}

func (s Scenario) String() string {
	return strings.Join([]string{s.Holder, s.Filesystem, s.Strip, s.Mutation}, "/")
}

// ParseScenario reads what String writes, and validates it.
func ParseScenario(text string) (Scenario, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return Scenario{}, usagef("scenario %q: write holder/filesystem/strip/mutation, such as rdma/ext4/pageout/none", text)
	}
	s := Scenario{parts[0], parts[1], parts[2], parts[3]}
	return s, s.Validate()
}

// Validate says whether the scenario's parts exist and make sense together.
func (s Scenario) Validate() error {
	for _, part := range []struct{ flag, value string }{
		{"holder", s.Holder}, {"fs", s.Filesystem}, {"strip", s.Strip}, {"mutation", s.Mutation},
	} {
		if err := oneOf(part.flag, part.value, choiceNames(part.flag)); err != nil {
			return err
		}
	}
	if why := s.nonsense(); why != "" {
		return usagef("scenario %s makes no sense: %s", s, why)
	}
	return nil
}

// The phases of a run, in order. Their names stand in run.json.
const (
	PhasePrepare    = "prepare"
	PhasePin        = "pin"
	PhaseWrite      = "write"
	PhaseClean      = "clean"
	PhaseStrip      = "strip"
	PhaseMutate     = "mutate"
	PhaseWriteAgain = "write-again"
	PhaseRelease    = "release"
	PhaseSettle     = "settle"
	PhaseVerify     = "verify"
)

// Phases returns the names of the phases in the order in which they run.
func Phases() []string {
	return []string{
		PhasePrepare, PhasePin, PhaseWrite, PhaseClean, PhaseStrip, PhaseMutate,
		PhaseWriteAgain, PhaseRelease, PhaseSettle, PhaseVerify,
	}
}

// Choice is one of the things that a part of a scenario can be.
type Choice struct {
	Name string `json:"name"`
	What string `json:"what"` // one line
}

func (c Choice) choice() Choice { return c }

// find returns the entry of a table that has the name.
func find[K interface{ choice() Choice }](table []K, name string) (entry K, ok bool) {
	for _, k := range table {
		if k.choice().Name == name {
			return k, true
		}
	}
	return entry, false
}

func choicesOf[K interface{ choice() Choice }](table []K) []Choice {
	var choices []Choice
	for _, k := range table {
		choices = append(choices, k.choice())
	}
	return choices
}

// Choices returns what a scenario's part ("holder", "fs", "strip" or "mutation")
// can be, in the order of its table.
func Choices(part string) []Choice {
	switch part {
	case "holder":
		return choicesOf(holderKinds)
	case "fs":
		return choicesOf(filesystems)
	case "strip":
		return choicesOf(stripKinds)
	case "mutation":
		return choicesOf(mutationKinds)
	}
	return nil
}

func choiceNames(part string) []string {
	var names []string
	for _, c := range Choices(part) {
		names = append(names, c.Name)
	}
	return names
}

// Describe returns one line on the choices of a part, for help texts.
func Describe(part string) string {
	var lines []string
	for _, c := range Choices(part) {
		lines = append(lines, fmt.Sprintf("%s (%s)", c.Name, c.What))
	}
	return strings.Join(lines, "; ")
}
