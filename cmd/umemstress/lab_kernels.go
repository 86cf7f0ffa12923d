package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab/kernels"
)

func newLabKernelsCommand() *cobra.Command {
	var fetch []string
	var format string
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "List the lab's kernels and fetch them",
		Long: `Lists the names that --kernel takes and the kernels that they stand for here.
A kernel is fetched when it is first used, from the mirror that this machine's
apt is configured for, and kept from then on. --fetch gets the newest of a name
now. Package files in the directory ` + kernels.PackageDirEnv + ` are preferred to
the mirror.

A kernel of your own needs virtio (PCI, console, block), 9p over virtio, overlayfs
and ext4, built in or as modules; 'umemstress lab config' prints all its options, and
'umemstress lab build' builds one from source.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			store, err := kernels.DefaultStore()
			if err != nil {
				return err
			}
			for _, name := range fetch {
				if _, err := store.Fetch(cmd.Context(), name); err != nil {
					return err
				}
			}
			entries, err := store.List()
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), entries)
			}
			return printKernels(cmd.OutOrStdout(), entries)
		},
	}
	cmd.Flags().StringSliceVar(&fetch, "fetch", nil, "get the newest kernel called `NAME`; may be repeated")
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

func printKernels(w io.Writer, entries []kernels.Entry) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tRELEASE\tVERSION\tFROM")
	for _, e := range entries {
		release, version := e.Release, e.Version
		if release == "" {
			release, version = "-", "not fetched"
		}
		from := strings.Join(e.Suites, ", ")
		if e.Built != nil {
			from = e.Built.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.Name, release, version, from)
	}
	return table.Flush()
}

func newLabConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that a kernel needs for the lab",
		Long: `Prints the options that a kernel needs to boot in the lab and to run its scenarios,
as a fragment for scripts/kconfig/merge_config.sh: for who builds a kernel elsewhere.
'umemstress lab build' builds one with them, and little else.`,
		Example: `  umemstress lab config >lab.config
  scripts/kconfig/merge_config.sh -m .config lab.config && make olddefconfig`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), kernels.Fragment)
			return err
		},
	}
}
