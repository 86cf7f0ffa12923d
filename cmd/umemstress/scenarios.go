package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"umemstress/workload"
	"umemstress/workload/scenario"
)

func newScenariosCommand() *cobra.Command {
	var format string
	var list, all bool
	cmd := &cobra.Command{
		Use:   "scenarios",
		Short: "Say what scenarios are made of, and which make sense",
		Long: `Lists what each part of a scenario can be, and the presets. --list adds the scenarios
that 'umemstress run --scenario' takes, holder/fs/strip/mutation, with a line on what
each shows, and why the other combinations make no sense; --all has those, too, one
by one. As JSON they are listed in any case.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			scenarios := workload.Scenarios().All()
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), chosen(scenarios, all))
			}
			if list || all {
				return errors.Join(printChoices(cmd.OutOrStdout(), "preset"), printScenarios(cmd.OutOrStdout(), scenarios, all))
			}
			return printChoices(cmd.OutOrStdout(), fmt.Sprintf("preset, of the %d scenarios that make sense (of %d combinations): see --list",
				len(chosen(scenarios, false)), len(scenarios)))
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "also every scenario, and what it shows")
	cmd.Flags().BoolVar(&all, "all", false, "also the combinations that make no sense")
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// chosen are the scenarios that make sense, or all.
func chosen(scenarios []scenario.Explained, all bool) []scenario.Explained {
	return slices.DeleteFunc(slices.Clone(scenarios), func(e scenario.Explained) bool { return e.Nonsense != "" && !all })
}

func printChoices(w io.Writer, presets string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, part := range scenario.Parts() {
		name := string(part) // beside the first choice, since a screen has few lines
		choices := workload.Scenarios().Choices(part)
		for _, c := range choices {
			if c.Like != "" {
				continue
			}
			for i, line := range withVarieties(c, choices) {
				called := c.Name
				if i > 0 {
					called = ""
				}
				fmt.Fprintf(table, "%s\t%s\t%s\n", name, called, line)
				name = ""
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, presets)
	for _, c := range workload.Presets() {
		fmt.Fprintf(table, "\t%s\t%s\n", c.Name, c.What)
	}
	return table.Flush()
}

// withVarieties says in lines what a choice is, and what those are that are varieties of it.
func withVarieties(base scenario.Choice, choices []scenario.Choice) []string {
	const columns = 150
	lines, separator := []string{base.What}, "; also"
	for _, c := range choices {
		if c.Like != base.Name {
			continue
		}
		more := fmt.Sprintf("%s (%s)", c.Name, c.What)
		last := &lines[len(lines)-1]
		*last += separator
		if len(*last)+1+len(more) <= columns {
			*last += " " + more
		} else {
			lines = append(lines, more)
		}
		separator = ","
	}
	return lines
}

func printScenarios(w io.Writer, scenarios []scenario.Explained, all bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario")
	for _, e := range chosen(scenarios, all) {
		line := e.Shows
		if e.Nonsense != "" {
			line = "makes no sense: " + e.Nonsense
		}
		fmt.Fprintf(table, "  %s\t%s\n", e.Scenario, line)
	}
	if !all {
		fmt.Fprintln(table, "makes no sense")
		for _, reason := range reasons(scenarios) {
			fmt.Fprintf(table, "  %s\n", reason)
		}
	}
	return table.Flush()
}

// reasons are why combinations make no sense, each once.
func reasons(scenarios []scenario.Explained) []string {
	var found []string
	for _, e := range scenarios {
		if e.Nonsense != "" && !slices.Contains(found, e.Nonsense) {
			found = append(found, e.Nonsense)
		}
	}
	return found
}
