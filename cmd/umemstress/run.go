package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/both"
	"umemstress/cmd/umemstress/internal/handover"
	"umemstress/cmd/umemstress/internal/job"
	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/probes"
	"umemstress/probes/event"
	"umemstress/rdma"
	"umemstress/workload"
	"umemstress/workload/child"
	"umemstress/workload/evidence"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/record"
	"umemstress/workload/report"
	"umemstress/workload/report/ci"
	"umemstress/workload/witness"
)

func newRunCommand() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Make it happen: pin a file's pages, write past the file system, and prove what is lost",
		Long: `Has a holder pin the pages of a file: an RDMA device that writes from an anonymous
region into the file's, a direct read, also from NFS, FUSE or 9p, process_vm_writev, a
VMCI queue pair, a V4L2 capture device or a socket of AF_XDP. Cleans and strips the pages
meanwhile, writes again, releases them, and compares the disk with what was written. By
default it touches only a scratch file system of its own, which is gone when it ends.
'umemstress scenarios' says what each holder, file system, strip, mutation and preset is.

Exit codes: 0 clean or refused, 1 failed, 2 usage, 3 the host lacks something,
4 inconclusive, 10 exposed, 11 reproduced, 12 data-lost, 13 corrupted,
14 crashed, 130 interrupted.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := flags.options()
			if err != nil {
				return err
			}
			if err := flags.status.Set(&options, cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()), flags.several(options)); err != nil {
				return err
			}
			if err := handOver(options); err != nil {
				return err
			}
			if err := flags.reports.Open(); err != nil {
				return exit.UsageError(err)
			}
			signals.OutlivePipes() // what the run did to this machine is undone first
			if options.Output == "" {
				if options.Output, err = evidence.Reserve(time.Now()); err != nil {
					return err
				}
				defer os.Remove(options.Output) // a run that never began leaves it empty
			}
			collectLess()
			options.PeerFlags = flags.forPeer()
			if flags.preset == workload.Everything {
				return runEverything(cmd.Context(), cmd.OutOrStdout(), &flags, options)
			}
			if options.Victim == workload.VictimBoth {
				return flags.runBoth(cmd, options)
			}
			record, err := workload.Run(cmd.Context(), options)
			reported := flags.reports.Save(func(inconclusive ci.Outcome) ci.Report {
				return reportOf([]scenarioOutcome{newOutcome(options, record, err)}, inconclusive)
			})
			if err != nil {
				return errors.Join(err, reported)
			}
			err = errors.Join(
				printRecord(cmd.OutOrStdout(), flags.format, record, options.Output),
				flags.table.Print(cmd.OutOrStdout(), record),
			)
			return errors.Join(runStatus(record), err, reported)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// collectLess has Go collect garbage more seldom, unless the environment says how often. A run lives
// for seconds and keeps little: it takes 6 % less of an emulated processor so, and no more memory (seen:
// 1.83 s for 1.95 s, and 43 MiB at most).
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// handOver goes on as the program that can load rdma-core's library, where the run's device
// wants that.
func handOver(o workload.Options) error {
	if o.Scenario.Holder != "rdma" {
		return nil
	}
	return handover.For(version, o.Device, rdma.Backend(o.Backend), o.Manager)
}

// prepareJob checks run's flags for a rank of a job, which has the evidence and the peer of its own.
func prepareJob(args []string, stderr io.Writer) (job.Run, error) {
	flags := &runFlags{}
	_, options, err := parseRun(args, flags)
	if err != nil {
		return job.Run{}, err
	}
	for _, flag := range append([]string{"peer", "victim"}, ownFlags()...) {
		if flags.given.Changed(flag) {
			return job.Run{}, exit.Usagef("--%s: each rank of a job has its own, and rank 0 prints one table; leave it out", flag)
		}
	}
	if flags.preset == workload.Everything {
		return job.Run{}, exit.Usagef("--preset everything: a rank of a job does one run; give its scenario")
	}
	if options.Scenario.Holder != "rdma" || len(options.Candidates) > 0 {
		return job.Run{}, exit.Usagef("only the holder rdma has another host: give run's flags, which follow --, one scenario of it")
	}
	options.Peer = "the next rank" // so that what no peer does is refused now
	if err := options.Validate(); err != nil {
		return job.Run{}, err
	}
	if err := flags.status.Set(&options, stderr, false, false); err != nil {
		return job.Run{}, err
	}
	return job.Run{
		Peer:     remote.Config{Device: options.Device, Port: options.Port, GIDIndex: options.GIDIndex, Backend: options.Backend, Version: version},
		HandOver: func() error { return handOver(options) },
		Do: func(ctx context.Context, output, peer string) (*record.Record, int, string) {
			collectLess()
			options.Output, options.Peer = output, peer
			r, err := workload.Run(ctx, options)
			o := newOutcome(options, r, err)
			return o.record, o.Exit, o.Reason
		},
	}, nil
}

// runBoth does the run twice, once with its file here and once with it there.
func (f *runFlags) runBoth(cmd *cobra.Command, o workload.Options) error {
	if f.given.Changed("report") {
		return exit.Usagef("--report: with --victim both there are two runs, and each has a report of its own; leave it out")
	}
	if err := o.Validate(); err != nil {
		return err
	}
	return both.Do(cmd.Context(), both.Config{
		Args: f.argsBut(append([]string{"victim"}, ownFlags()...)...), Dir: o.Output, Format: f.format, Stderr: cmd.ErrOrStderr(), Table: f.table.Print,
	}, cmd.OutOrStdout())
}

// preparePeer checks flags of run that come from the host whose run this peer is to do.
func preparePeer(args []string) (workload.Options, error) {
	flags := &runFlags{}
	run, options, err := parseRun(args, flags)
	if err != nil {
		return options, err
	}
	if verbose, _ := run.Flags().GetBool("verbose"); verbose { // there, where it goes
		logMore()
	}
	for _, flag := range notForPeers() {
		if flags.given.Changed(flag) {
			return options, exit.Usagef("--%s: it is no flag for a peer, which has its own", flag)
		}
	}
	if options.Scenario.Holder != "rdma" || flags.preset == workload.Everything {
		return options, exit.Usagef("only the holder rdma has another host, and a peer does one run of it")
	}
	options.Peer = "the host that asks" // so that what no peer does is refused
	if err := options.Validate(); err != nil {
		return options, err
	}
	options.Peer = ""
	collectLess()
	return options, flags.status.Set(&options, nil, false, false)
}

// attachProbes is a function of its own so that a nil *probes.Session never
// becomes a non-nil Observer. Nothing is told until the run has set its filter: what others do
// on a busy host meanwhile is not to fill the tables. Regions are not watched, since their hooks
// take as long to attach as the others together: who held the pages is known from their release.
//
// Where the kernel does not name addresses itself, the symbol table is read in advance if the machine may die of what has a stack to be named.
// A run that could take it down asks for that first, so that others have the time to read it when
// there is a stack: a fifth of what a small run costs, and many have none.
func attachProbes(holder string, mayDie bool) (witness.Observer, error) {
	session, err := probes.Attach(probes.Options{
		Holders: []string{holder}, Kinds: []event.Kind{event.Stripped, event.Dropped},
		Acts: true, Await: true, Janitor: startJanitor,
	})
	if err != nil {
		return nil, err
	}
	if mayDie {
		_ = session.ReadSymbols() // where symbols are hidden, stacks stay without names, and the run says so
	}
	return session, nil
}

func startJanitor(script string, args ...string) (io.Closer, error) {
	return child.StartJanitor(nil, script, args...)
}

func printRecord(w io.Writer, format string, r *record.Record, dir string) error {
	if format == "json" {
		return printJSON(w, r)
	}
	return report.Text(w, r, dir)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// runStatus is the verdict's, also of a run that left something behind; but where the
// verdict is good news, that is worse.
func runStatus(r *record.Record) error {
	status := verdictStatus(r.Verdict)
	if status == nil && r.CleanupError != "" {
		return errors.New(r.CleanupError)
	}
	return status
}

// verdictStatus turns a verdict into the exit code of the contract.
func verdictStatus(v record.Verdict) error {
	if code := v.ExitCode(); code != exit.Clean {
		return exit.Status(code)
	}
	return nil
}

func addFormatFlag(flags *pflag.FlagSet, format *string) {
	flags.StringVar(format, "format", "text", "form of the result on stdout: text or json")
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return exit.UsageError(fmt.Errorf("--format %s: choose text or json", format))
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return exit.UsageError(fmt.Errorf("%s takes no arguments, but got %q", cmd.CommandPath(), args[0]))
	}
	return nil
}
