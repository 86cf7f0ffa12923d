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

// Parse reads what Scenario.String writes, and validates it.
func (c Catalogue) Parse(text string) (Scenario, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return Scenario{}, fault.Usagef("scenario %q: write holder/filesystem/strip/mutation, such as rdma/ext4/pageout/none", text)
	}
	s := Scenario{parts[0], parts[1], parts[2], parts[3]}
	return s, c.Validate(s)
}

// Parts are the parts of a scenario as flags name them.
func Parts() []string { return []string{"holder", "fs", "strip", "mutation"} }

// Part is the choice that the scenario makes for a part.
func (s Scenario) Part(part string) string {
	return map[string]string{"holder": s.Holder, "fs": s.Filesystem, "strip": s.Strip, "mutation": s.Mutation}[part]
}

// Validate says whether the scenario's parts exist and make sense together.
func (c Catalogue) Validate(s Scenario) error {
	for _, part := range Parts() {
		choices := c.Choices(part)
		if !slices.ContainsFunc(choices, func(c Choice) bool { return c.Name == s.Part(part) }) {
			return fault.Usagef("--%s %s: choose %s", part, s.Part(part), names(choices))
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
