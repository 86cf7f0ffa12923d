package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"umemstress/workload"
)

func newScenariosCommand() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "scenarios",
		Short: "List every scenario that makes sense, and what it shows",
		Long: `Lists the scenarios that 'umemstress run --scenario' takes, holder/fs/strip/mutation,
with a line on what each shows. --all adds the combinations that make no sense,
with the reason.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var chosen []workload.Explained
			for _, e := range workload.Scenarios() {
				if all || e.Nonsense == "" {
					chosen = append(chosen, e)
				}
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), chosen)
			}
			return printScenarios(cmd.OutOrStdout(), chosen)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the combinations that make no sense")
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

func printScenarios(w io.Writer, scenarios []workload.Explained) error {
	for _, part := range []string{"holder", "fs", "strip", "mutation"} {
		fmt.Fprintln(w, part)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range workload.Choices(part) {
			fmt.Fprintf(table, "  %s\t%s\n", c.Name, c.What)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "scenario")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range scenarios {
		line := e.Shows
		if e.Nonsense != "" {
			line = "makes no sense: " + e.Nonsense
		}
		fmt.Fprintf(table, "  %s\t%s\n", e.Scenario, line)
	}
	return table.Flush()
}
