package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab/build"
	"umemstress/soft-roce/lab/kernels"
)

func newLabBuildCommand() *cobra.Command {
	var options build.Options
	var format string
	cmd := &cobra.Command{
		Use:   "build --source DIR|KERNEL",
		Short: "Build a kernel for the lab from source, small enough to take minutes",
		Long: `Builds a kernel and puts it into the store by name, for lab run --kernel NAME. The
source is a directory with a kernel's source, of which a copy is built (what git
tracks there), or the name of a kernel that Debian has, whose source package apt
fetches and verifies. Changes are made in this order: known fixes are taken out
(--without-fix) and semantic patches applied to the source as it is, then patches.

The configuration has what the lab and its scenarios need ('umemstress lab config'
prints it), --config adds to it, and all else is off. What was built stays in the
cache, and the next build of the same source compiles only what differs; one that
was interrupted goes on where it was. Two builds of one source wait for each other.

A semantic patch is looked for in all of the source, which takes minutes, unless a
line '// files: PATH...' in it names where.

Fixes that can be taken out:
` + fixesHelp(),
		Example: `  umemstress lab build --source 5.10 --without-fix cc5095747edf
  umemstress lab run --kernel 5.10-without-cc5095747edf -- --allow-crash
  umemstress lab build --source ~/linux --patch fix.patch --name my-fix`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if err := checkBuild(cmd.Flags(), &options); err != nil {
				return err
			}
			store, err := kernels.DefaultStore()
			if err != nil {
				return err
			}
			result, err := build.Build(cmd.Context(), store, options)
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), newBuildReport(result))
			}
			return printBuild(cmd.OutOrStdout(), newBuildReport(result))
		},
	}
	registerBuild(cmd.Flags(), &options)
	cmd.Flags().StringVar(&options.Source, "source", "", sourceUsage)
	cmd.Flags().StringVar(&options.Name, "name", "", "`NAME` of the kernel in the store (default: the source, with what was taken out, such as 5.10-without-cc5095747edf, or with -built)")
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

const sourceUsage = "`DIR` of a kernel's source, or a kernel of Debian: 5.10, 6.1, 6.12, trixie, sid or a version such as 5.10.262"

// registerBuild adds the flags of what is to be built, but for its source and its name.
func registerBuild(flags *pflag.FlagSet, options *build.Options) {
	flags.BoolVar(&options.AllowDirty, "allow-dirty", false, "build what is not committed in DIR, too")
	flags.BoolVar(&options.Fresh, "fetch", false, "get the newest source package, though one is here")
	flags.StringArrayVar(&options.Without, "without-fix", nil, "`COMMIT` of a known fix that is taken out; may be repeated")
	flags.StringArrayVar(&options.Patches, "patch", nil, "`FILE` for patch -p1; may be repeated")
	flags.StringArrayVar(&options.Semantic, "semantic-patch", nil, "`FILE` for coccinelle; may be repeated")
	flags.StringArrayVar(&options.Config, "config", nil, "`FILE` with a fragment of a configuration, on top of the lab's; may be repeated")
	flags.IntVar(&options.Jobs, "jobs", 0, "`N` compilers at a time (default: as many as there are processors)")
}

// checkBuild refuses what cannot be built.
func checkBuild(flags *pflag.FlagSet, options *build.Options) error {
	if options.Source == "" {
		return exit.Usagef("which source? Give --source DIR of a kernel, or --source 5.10 for Debian's")
	}
	if flags.Changed("jobs") && options.Jobs < 1 {
		return exit.Usagef("--jobs %d: choose 1 or more", options.Jobs)
	}
	return nil
}

func fixesHelp() string {
	var b strings.Builder
	for _, fix := range build.Fixes() {
		fmt.Fprintf(&b, "  %s  without it, %s\n", fix.Commit, fix.Effect)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// buildReport is what a build came to.
type buildReport struct {
	kernels.Built
	Release    string  `json:"release"`
	Version    string  `json:"version"`
	Directory  string  `json:"directory"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

func newBuildReport(r build.Result) buildReport {
	return buildReport{r.Built, r.Kernel.Release, r.Version, r.Kernel.Dir(), r.Seconds, r.CPU}
}

func printBuild(w io.Writer, r buildReport) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, text string) { fmt.Fprintf(table, "%s\t%s\n", name, text) }
	row("kernel", r.Name)
	row("release", r.Release)
	row("how", r.String())
	if r.Compiler != "" {
		row("compiler", r.Compiler)
	}
	row("took", fmt.Sprintf("%.0f s, %.0f s of processors", r.Seconds, r.CPUSeconds))
	row("to use it", "umemstress lab run --kernel "+r.Name)
	return table.Flush()
}
