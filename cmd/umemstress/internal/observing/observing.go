// Package observing is the command observe: flags in, lines out, an exit code that tells what
// was seen.
package observing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sync"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/probes"
	"umemstress/probes/event"
	"umemstress/probes/observe"
	"umemstress/workload/record"
)

// ringBytes is the size of the ring: strips and drops come page by page.
const ringBytes = 4 << 20

// Host is what the command is given by who runs it.
type Host struct {
	// Janitor starts a shell that cleans up behind this process, however that ends.
	Janitor func(script string, args ...string) (io.Closer, error)
	// NoArguments refuses arguments.
	NoArguments cobra.PositionalArgs
}

// flags are those of observe.
type flags struct {
	host      Host
	format    string
	pids      []int
	cgroups   []string
	filter    observe.Filter
	seconds   int
	limit     uint64
	stack     bool
	dryRun    bool
	failOnHit bool
	journal   string
	read      string
	textfile  string
	listen    string
	output    outputFlags
	btf       string
	hookCost  bool
}

// Command is observe.
func Command(host Host) *cobra.Command {
	flags := flags{host: host}
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Watch somebody else's program: who pins pages of which file, and whether they are lost",
		Long: `Watches this machine with probes in the kernel and changes nothing: which program
pins pages of which file, whether reclaim strips them of their buffers meanwhile,
whether their release dirties them behind the file system's back, and whether
writeback then drops them. RDMA regions, direct reads into mappings and
process_vm_writev are watched. It goes on until Ctrl-C, or as long as --duration
says. On a terminal there is a table by process and file, which follows along;
elsewhere, and with --stack, a line for each event. docs/observe.md has every event
and field.

Exit codes: 0, also of Ctrl-C, 1 failed, 2 usage, 3 the host lacks something; with
--fail-on-hit 10 pages were dirtied without the file system being told, 11 without
buffers, 12 dropped.`,
		Args: host.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.output.check(cmd.Flags().Changed); err != nil {
				return err
			}
			return flags.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

func (f *flags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.format, "format", "text", "form of the result on stdout: text, or json, one object a line")
	flags.IntSliceVar(&f.pids, "pid", nil, "only what these processes hold (repeatable)")
	flags.StringVar(&f.filter.Comm, "comm", "", "only what programs of this name hold; a shell pattern")
	flags.StringSliceVar(&f.cgroups, "cgroup", nil, "only what processes in this cgroup, or below it, hold: its path, as in /proc/PID/cgroup (repeatable)")
	flags.StringVar(&f.filter.Filesystem, "fs", "", "only files of this type of file system, such as ext4")
	flags.StringVar(&f.filter.Path, "path", "", "only this file, those that match this shell pattern, or those in this directory")
	flags.StringVarP(&f.filter.RDMADevice, "ib-dev", "d", "", "only regions of this RDMA device")
	flags.IntVarP(&f.seconds, "duration", "D", 0, "end after so many seconds (default: with Ctrl-C)")
	flags.Uint64Var(&f.limit, "limit", 0, "end after so many events (default: no limit)")
	flags.BoolVar(&f.stack, "stack", false, "tell the kernel's stack of each event")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be watched, where and how, and why not better, and end")
	flags.StringVar(&f.journal, "journal", "", "keep the first event of every kind and file, and the sums, in this directory, on disk at once: for when the machine dies of it")
	flags.StringVar(&f.read, "read", "", "tell what the journal in this directory holds, and end")
	flags.StringVar(&f.textfile, "textfile", "", "write the sums to this file every second, for the textfile collector of Prometheus's node_exporter")
	flags.StringVar(&f.listen, "listen", "", "answer Prometheus at this `ADDRESS`, such as 127.0.0.1:9750, with /metrics")
	flags.BoolVar(&f.hookCost, "hook-cost", false, "have the kernel measure what the hooks take, for the metrics; it measures all BPF programs of the machine meanwhile")
	flags.StringVar(&f.output.path, "output-file", "", "write the lines to this file instead of standard output; SIGHUP opens it anew")
	flags.StringVar(&f.output.size, "output-size", "64M", "begin a new output file before this one is larger; 0: never")
	flags.IntVar(&f.output.keep, "output-keep", 3, "keep so many full output files, as FILE.1, the youngest, to FILE.N")
	flags.StringVar(&f.btf, "btf", "", "the kernel's types (BTF), from this `FILE`, for a kernel that has none in /sys/kernel/btf")
	flags.BoolVar(&f.failOnHit, "fail-on-hit", false, "have the exit code say what was seen")
}

// check refuses what no host can do.
func (f *flags) check() error {
	if f.format != "text" && f.format != "json" {
		return exit.Usagef("--format %s: choose text or json", f.format)
	}
	for _, pid := range f.pids {
		if pid < 1 || pid > math.MaxInt32 {
			return exit.Usagef("--pid %d: give the number of a process", pid)
		}
	}
	if f.seconds < 0 || f.seconds > int(math.MaxInt64/time.Second) {
		return exit.Usagef("--duration %d: give the seconds to observe for, at most %d", f.seconds, math.MaxInt64/time.Second)
	}
	if err := f.filter.Check(); err != nil {
		return exit.Usagef("--comm %q, --path %q: not both are shell patterns; write \\[ for a bracket itself", f.filter.Comm, f.filter.Path)
	}
	if f.hookCost && f.textfile == "" && f.listen == "" {
		return exit.Usagef("--hook-cost: it is told as metrics; add --textfile FILE or --listen ADDRESS")
	}
	if f.filter.Path != "" && !filepath.IsAbs(f.filter.Path) {
		return exit.Usagef("--path %s: give an absolute path, as a program's maps have it", f.filter.Path)
	}
	return nil
}

// kernelFilter is what the kernel's side can tell.
func (f *flags) kernelFilter() (event.Filter, error) {
	var filter event.Filter
	for _, pid := range f.pids {
		filter.PIDs = append(filter.PIDs, uint32(pid))
	}
	for _, path := range f.cgroups {
		ids, err := observe.CgroupIDs(observe.CgroupRoot, path)
		if err != nil {
			return filter, exit.Usagef("--cgroup %s: not a cgroup of the unified hierarchy in %s: %w", path, observe.CgroupRoot, err)
		}
		filter.Cgroups = append(filter.Cgroups, ids...)
	}
	return filter, nil
}

func (f *flags) run(ctx context.Context, out io.Writer) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	if f.read != "" {
		return f.readJournal(out)
	}
	pids, err := f.watchedPIDs(observe.Proc)
	if err != nil {
		return err
	}
	filter, err := f.kernelFilter()
	if err != nil {
		return err
	}
	signals.OutlivePipes() // what is attached is taken away first
	if f.dryRun {
		return f.tellAttachments(out)
	}
	var kept *keeper
	if f.journal != "" {
		if kept, err = openKeeper(f.journal); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, kept.close()) }()
	}
	file, err := f.output.open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if !errors.Is(err, observe.ErrUnread) { // which is still at work with it
			err = errors.Join(err, file.close())
		}
	}()
	seen, err := f.witness(filter)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.close()) }()
	shown, err := f.openShow(seen.hooks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shown.close()) }()
	f.dropPrivileges(seen.needs())
	follow := func(ctx context.Context) { dropReused(ctx, time.Second, observe.Proc, pids, filter, seen.setFilter) }
	summary, err := f.observe(ctx, seen, told{out, file, kept, shown}, follow)
	if err != nil {
		return err
	}
	if f.failOnHit {
		return f.status(summary.Hit())
	}
	return nil
}

// told are those who are told: standard output or a file, the journal, and Prometheus.
type told struct {
	out   io.Writer
	file  *output
	kept  *keeper
	shown *show
}

// observe observes for as long as was asked, and goes on with beside meanwhile.
func (f *flags) observe(ctx context.Context, seen witness, to told, beside func(context.Context)) (observe.Summary, error) {
	var others sync.WaitGroup
	defer others.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	others.Go(func() { beside(ctx) })
	if f.seconds > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.seconds)*time.Second)
		defer cancel()
	}
	config := observe.Config{
		Source: seen, Hooks: seen.hooks, Rehooked: seen.attachLate(ctx, to.shown), Host: observe.ThisHost(),
		Filter: f.filter, Stacks: f.stack || to.kept != nil, Limit: f.limit,
		Tell:  func(l observe.Line) error { to.kept.tell(l); return nil },
		Count: func(s observe.Summary) error { to.kept.count(s); to.shown.count(s, seen.costs); return nil },
	}
	f.writeTo(&config, to.out, to.file)
	return observe.Run(ctx, config)
}

func (f *flags) attach() (*probes.Session, error) {
	return probes.Attach(probes.Options{
		Holders: probes.Holders(), Later: true, Kinds: probes.Kinds(), AnyRelease: true,
		Events: ringBytes, Janitor: f.host.Janitor, BTF: f.btf,
	})
}

// tellAttachments attaches what would be, also where that is not enough, and says how it went.
func (f *flags) tellAttachments(out io.Writer) error {
	session, err := f.attach()
	var lacks *probes.LacksError
	switch {
	case f.canDoWithout(err):
		logrus.Warn(err)
		return printAttachments(out, f.format, logAttachments)
	case errors.As(err, &lacks) && lacks.Attachments != nil:
		return errors.Join(err, printAttachments(out, f.format, lacks.Attachments))
	}
	if err != nil {
		return err
	}
	return errors.Join(printAttachments(out, f.format, session.Attachments()), session.Close())
}

// lineWriter writes lines as they come, each at once.
func lineWriter(out io.Writer, format string) func(observe.Line) error {
	form := func(l observe.Line) ([]byte, error) { return []byte(l.Text()), nil }
	if format == "json" {
		form = func(l observe.Line) ([]byte, error) {
			text, err := json.Marshal(l)
			return append(text, '\n'), err
		}
	}
	return func(l observe.Line) error {
		text, err := form(l)
		if err == nil && len(text) > 0 {
			_, err = out.Write(text)
		}
		return written(err)
	}
}

// writeTo has the lines go to the file, if there is one, or else to out: as a table for who looks
// at a terminal, and as lines for all others.
func (f *flags) writeTo(config *observe.Config, out io.Writer, file *output) {
	write := lineWriter(out, f.format)
	if s := screenOn(out); file != nil {
		write, config.Idle = lineWriter(file, f.format), file.idle
	} else if s != nil && f.format == "text" && !f.stack {
		write, config.Idle = s.tell, s.idle
	}
	config.Write = func(l observe.Line) error {
		if !f.stack {
			l.Stack = nil
		}
		return write(l)
	}
}

func written(err error) error {
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// status turns the worst that was seen into the exit code of the contract.
func (f *flags) status(hit observe.Hit) error {
	switch hit {
	case observe.HitUnannounced:
		return exit.Status(record.Exposed.ExitCode())
	case observe.HitBufferless:
		return exit.Status(record.Reproduced.ExitCode())
	case observe.HitDropped:
		return exit.Status(record.DataLost.ExitCode())
	}
	return nil
}

func hooksOf(attachments []probes.Attachment) []observe.Hook {
	var hooks []observe.Hook
	for _, a := range attachments {
		hooks = append(hooks, observe.Hook{Purpose: a.Purpose, Symbol: a.Symbol, Method: string(a.Method), Without: a.Without, Awaits: a.Awaits})
	}
	return hooks
}

// printAttachments says what is watched, where and how, and why not better.
func printAttachments(w io.Writer, format string, attachments []probes.Attachment) error {
	if format == "json" {
		return written(json.NewEncoder(w).Encode(attachments))
	}
	for _, a := range attachments {
		place := "not attached"
		if a.Attached() {
			place = fmt.Sprintf("%s on %s", a.Method, a.Symbol)
		} else if a.Awaits != "" {
			place = "by the kernel, when it loads " + a.Awaits
		}
		if _, err := fmt.Fprintf(w, "%-55s %s\n", a.Purpose, place); err != nil {
			return written(err)
		}
		if a.Without != "" {
			fmt.Fprintf(w, "    without it: %s\n", a.Without)
		}
		for _, d := range a.Denied {
			fmt.Fprintf(w, "    %s\n", d)
		}
	}
	return nil
}
