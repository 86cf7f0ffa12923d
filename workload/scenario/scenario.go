// Package scenario says what a run can be: its parts, what is known of each, which of them
// make sense together, and the phases of a run.
//
// It is pure data. Who makes a holder, a file system, a strip or a mutation has the facts of
// it beside the code, and package workload puts them together into a [Catalogue].
package scenario

import (
	"slices"
	"strings"

	"umemstress/workload/internal/fault"
)

// Scenario is what a run does: who pins, over which file system, how the pages
// are stripped of their buffers, what happens to the file meanwhile, and in folios of
// what sizes the page cache holds it. It is written holder/filesystem/strip/mutation, and
// one more part, the folios, where they are not natural; the same in flags, in run.json
// and in the expectations of the kernel matrix.
type Scenario struct {
	Holder     string `json:"holder"`
	Filesystem string `json:"filesystem"`
	Strip      string `json:"strip"`
	Mutation   string `json:"mutation"`
	Folios     string `json:"folios,omitempty"` // empty: evidence from before it was recorded
}

// Natural are the folios that the file system makes by itself.
const Natural = "natural"

func (s Scenario) String() string {
	parts := []string{s.Holder, s.Filesystem, s.Strip, s.Mutation}
	if s.Folios != "" && s.Folios != Natural {
		parts = append(parts, s.Folios)
	}
	return strings.Join(parts, "/")
}

// Parse reads what Scenario.String writes, and validates it.
func (c Catalogue) Parse(text string) (Scenario, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 4 {
		parts = append(parts, Natural)
	}
	if len(parts) != 5 {
		return Scenario{}, fault.Usagef("scenario %q: write holder/filesystem/strip/mutation, such as rdma/ext4/pageout/none, or one more part for the folios, such as dio/ext4/pageout/none/large", text)
	}
	s := Scenario{parts[0], parts[1], parts[2], parts[3], parts[4]}
	return s, c.Validate(s)
}

// Part is a part of a scenario, by the name of its flag.
type Part string

// The parts.
const (
	PartHolder     Part = "holder"
	PartFilesystem Part = "fs"
	PartStrip      Part = "strip"
	PartMutation   Part = "mutation"
	PartFolios     Part = "folios"
)

// Parts are all of them, in the order in which a scenario is written.
func Parts() []Part { return []Part{PartHolder, PartFilesystem, PartStrip, PartMutation, PartFolios} }

// part is the choice that the scenario makes for a part.
func (s Scenario) part(part Part) string {
	switch part {
	case PartHolder:
		return s.Holder
	case PartFilesystem:
		return s.Filesystem
	case PartStrip:
		return s.Strip
	case PartMutation:
		return s.Mutation
	}
	return s.Folios
}

// Validate says whether the scenario's parts exist and make sense together.
func (c Catalogue) Validate(s Scenario) error {
	for _, part := range Parts() {
		choices := c.Choices(part)
		if !slices.ContainsFunc(choices, func(c Choice) bool { return c.Name == s.part(part) }) {
			return fault.Usagef("--%s %s: choose %s", part, s.part(part), names(choices))
		}
	}
	if why := c.nonsense(s); why != "" {
		return fault.Usagef("scenario %s makes no sense: %s", s, why)
	}
	return nil
}

// names lists choices, as in "choose a or b".
func names(choices []Choice) string {
	var all []string
	for _, c := range choices {
		all = append(all, c.Name)
	}
	return strings.Join(all, " or ")
}
