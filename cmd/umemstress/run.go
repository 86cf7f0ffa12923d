package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/probes"
	"umemstress/workload"
)

func newRunCommand() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Make it happen: pin a file's pages, write past the file system, and prove what is lost",
		Long: `Registers a file-backed and an anonymous region with an RDMA device, writes from
one into the other, cleans and strips the pages meanwhile, releases them, and
compares the disk with what was written. By default it touches only a scratch
file system of its own, which is gone when it ends.

Exit codes: 0 clean or refused, 1 failed, 2 usage, 3 the host lacks something,
4 inconclusive, 10 exposed, 11 reproduced, 12 data-lost, 13 corrupted,
130 interrupted.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := flags.options(cmd.Flags())
			if err != nil {
				return err
			}
			record, err := workload.Run(cmd.Context(), options)
			if err != nil {
				return err
			}
			if err := printRecord(cmd.OutOrStdout(), flags.format, record, options.Output); err != nil {
				return err
			}
			return verdictStatus(record.Verdict)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// runFlags are the flags of run. Those that are not given keep what the preset
// says.
type runFlags struct {
	given    workload.Options
	preset   string
	seconds  int
	fileSize string
	anonSize string
	format   string
}

func (f *runFlags) register(flags *pflag.FlagSet) {
	defaults, err := workload.Preset("quick")
	if err != nil {
		panic(err) // the name stands in workload's own table
	}
	g := &f.given
	*g = defaults
	flags.StringVar(&f.preset, "preset", "quick", "what the other flags start from: quick")
	flags.StringVarP(&g.Device, "ib-dev", "d", "", "RDMA device (default: the first with an active port)")
	flags.IntVarP(&g.Port, "ib-port", "i", g.Port, "port of the device")
	flags.IntVarP(&g.GIDIndex, "gid-index", "x", g.GIDIndex, "index of the port's GID (default: chosen)")
	flags.IntVarP(&g.MessageBytes, "size", "s", g.MessageBytes, "message size, bytes")
	flags.IntVarP(&g.QueuePairs, "qp", "q", g.QueuePairs, "number of queue pairs")
	flags.IntVarP(&g.Iterations, "iters", "n", 0, "messages in each write phase (default: one pass over the file region)")
	flags.IntVarP(&f.seconds, "duration", "D", 0, "seconds that each write phase repeats its pass")
	flags.StringVarP(&g.Connection, "connection", "c", g.Connection, "connection type: RC")
	flags.StringVar(&g.Verb, "verb", g.Verb, "RDMA operation: write")
	flags.StringVar(&g.Backend, "backend", g.Backend, "how verbs reach the device: auto or uverbs")
	flags.StringVar(&g.File, "file", "", "a new file on a file system of yours (default: a scratch file system of the run's own)")
	flags.StringVar(&g.ScratchDir, "scratch-dir", "", "directory that the scratch file system takes its space from (default: $TMPDIR or /tmp)")
	flags.StringVar(&g.Scenario.Filesystem, "fs", g.Scenario.Filesystem, "file system: "+workload.Describe("fs"))
	flags.StringVar(&f.fileSize, "file-size", "64M", "size of the file-backed region: bytes, or with K, M, G")
	flags.StringVar(&f.anonSize, "anon-size", "64M", "size of the anonymous region, the source of the traffic")
	flags.Uint64Var(&g.Seed, "seed", g.Seed, "seed of the payload")
	flags.StringVar(&g.Scenario.Holder, "holder", g.Scenario.Holder, "what pins: "+workload.Describe("holder"))
	flags.StringVar(&g.Scenario.Strip, "strip", g.Scenario.Strip, "how buffers go: "+workload.Describe("strip"))
	flags.StringVar(&g.Scenario.Mutation, "mutation", g.Scenario.Mutation, "what happens to the file: "+workload.Describe("mutation"))
	flags.StringVar(&g.Observe, "observe", g.Observe, "the probes: auto, off or require")
	flags.StringVarP(&g.Output, "output", "o", "", "evidence directory (default: ./umemstress-TIME)")
	flags.BoolVar(&g.AllowCrash, "allow-crash", false, "run even where it can take this machine down")
	addFormatFlag(flags, &f.format)
}

// options joins the preset and the flags.
func (f *runFlags) options(flags *pflag.FlagSet) (workload.Options, error) {
	o := f.given
	if _, err := workload.Preset(f.preset); err != nil {
		return o, err
	}
	if err := checkFormat(f.format); err != nil {
		return o, err
	}
	o.Duration = time.Duration(f.seconds) * time.Second
	var err error
	if o.FileBytes, err = parseBytes("file-size", f.fileSize); err != nil {
		return o, err
	}
	if o.AnonBytes, err = parseBytes("anon-size", f.anonSize); err != nil {
		return o, err
	}
	if o.Output == "" {
		o.Output = "umemstress-" + time.Now().Format("20060102-150405")
	}
	o.Tool = version
	o.Attach = attachProbes
	return o, nil
}

// attachProbes is a function of its own so that a nil *probes.Session never
// becomes a non-nil Observer.
func attachProbes() (workload.Observer, error) {
	session, err := probes.Attach(probes.Options{})
	if err != nil {
		return nil, err
	}
	return session, nil
}

func printRecord(w io.Writer, format string, r *workload.Record, dir string) error {
	if format == "json" {
		return printJSON(w, r)
	}
	return printReport(w, r, dir)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// verdictStatus turns a verdict into the exit code of the contract.
func verdictStatus(v workload.Verdict) error {
	switch v {
	case workload.Clean, workload.Refused:
		return nil
	case workload.Exposed:
		return statusError(exitExposed)
	case workload.Reproduced:
		return statusError(exitReproduced)
	case workload.DataLost:
		return statusError(exitDataLost)
	case workload.Corrupted:
		return statusError(exitCorrupted)
	}
	return statusError(exitInconclusive)
}

func newVerdictCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "verdict DIR",
		Short: "Judge the evidence of a run again, on any machine",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("verdict takes one evidence directory, not %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			record, err := workload.Reexamine(args[0])
			if err != nil {
				return err
			}
			if err := printRecord(cmd.OutOrStdout(), format, record, args[0]); err != nil {
				return err
			}
			return verdictStatus(record.Verdict)
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

func addFormatFlag(flags *pflag.FlagSet, format *string) {
	flags.StringVar(format, "format", "text", "form of the result on stdout: text or json")
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("--format %s: choose text or json", format)}
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
