package main

import (
	"math"
	"slices"
	"strings"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/bytesize"
	"umemstress/cmd/umemstress/internal/cireport"
	"umemstress/cmd/umemstress/internal/perftable"
	"umemstress/cmd/umemstress/internal/status"
	"umemstress/workload"
	"umemstress/workload/holder/umem"
	"umemstress/workload/scenario"
	"umemstress/workload/witness"
)

// runFlags are the flags of run. Those that are not given keep what the preset
// says.
type runFlags struct {
	preset  string
	format  string
	reports cireport.Flags
	status  status.Flags
	table   perftable.Flags
	given   *pflag.FlagSet
}

func (f *runFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.preset, "preset", "quick", "what the other flags start from: "+names(workload.Presets()))
	addFormatFlag(flags, &f.format)
	f.reports.Register(flags)
	f.status.Register(flags)
	f.table.Register(flags)
	quick, err := workload.Preset("quick")
	if err != nil {
		panic(err) // the name stands in workload's own table
	}
	new(optionFlags).register(flags, quick)
	f.given = flags
}

// options joins the preset and the flags that were given.
func (f *runFlags) options() (workload.Options, error) {
	preset, err := workload.Preset(f.preset)
	if err != nil {
		return preset, err
	}
	if err := checkFormat(f.format); err != nil {
		return preset, err
	}
	if err := f.exclusive(); err != nil {
		return preset, err
	}
	if err := f.table.Check(f.format, f.preset); err != nil {
		return preset, err
	}
	var joined optionFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	joined.register(flags, preset)
	f.given.Visit(func(flag *pflag.Flag) {
		if flags.Lookup(flag.Name) != nil && err == nil {
			err = flags.Set(flag.Name, flag.Value.String())
		}
	})
	if err != nil {
		return preset, err
	}
	o, err := joined.finish()
	if f.namesScenario() {
		o.Candidates = nil
	}
	o.FitFile = !f.given.Changed("file-size")
	if workload.MovesNumbers(o.Verb) && !f.given.Changed("size") {
		o.MessageBytes = workload.AtomicBytes
	}
	if workload.IsDatagrams(o.Connection) && !f.given.Changed("size") {
		o.MessageBytes = workload.DatagramBytes(o.MTU)
	}
	return o, err
}

// names are what a flag takes; what each of them is, 'umemstress scenarios' tells.
func names(choices []scenario.Choice) string {
	var list []string
	for _, c := range choices {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}

// exclusive refuses flags that name the scenario in two ways.
func (f *runFlags) exclusive() error {
	if f.preset == workload.Everything {
		return f.fitsEverything()
	}
	for _, part := range scenario.Parts() {
		if f.given.Changed(string(part)) && f.given.Changed("scenario") {
			return exit.Usagef("--%s: --scenario names it already; give one of the two", part)
		}
	}
	return nil
}

// namesScenario says whether flags say which scenario it is to be, or on which file system: then a preset
// that would choose one does not.
func (f *runFlags) namesScenario() bool {
	return slices.ContainsFunc(append(partFlags(), "scenario", "file"), f.given.Changed)
}

// partFlags are the flags for a part of the scenario each.
func partFlags() []string {
	var flags []string
	for _, part := range scenario.Parts() {
		flags = append(flags, string(part))
	}
	return flags
}

// several says whether there is a run after the other.
func (f *runFlags) several(o workload.Options) bool {
	return f.preset == workload.Everything || len(o.Candidates) > 0
}

// otherParts are those that the preset everything goes through, whatever is given; of holders it
// goes through the one that is given.
func otherParts() []string {
	return slices.DeleteFunc(partFlags(), func(flag string) bool { return flag == string(scenario.PartHolder) })
}

// holder is the one that is given; empty: all.
func (f *runFlags) holder() string {
	if !f.given.Changed(string(scenario.PartHolder)) {
		return ""
	}
	return f.given.Lookup(string(scenario.PartHolder)).Value.String()
}

// fitsEverything refuses flags that are not for every scenario.
func (f *runFlags) fitsEverything() error {
	holders := workload.Scenarios().Choices(scenario.PartHolder)
	if h := f.holder(); h != "" && !slices.ContainsFunc(holders, func(c scenario.Choice) bool { return c.Name == h }) {
		return exit.Usagef("--holder %s: choose one of %s", h, names(holders))
	}
	for _, flag := range append([]string{"scenario", "file", "file-offset", "file-length", "mutator", "dio-source", "v4l2-dev", "peer", "victim"}, otherParts()...) {
		if f.given.Changed(flag) {
			return exit.Usagef("--%s: the preset everything goes through all scenarios on scratch file systems; leave it out", flag)
		}
	}
	for _, flag := range []string{"iters", "duration", "bidirectional"} {
		if f.given.Changed(flag) {
			return exit.Usagef("--%s: the preset everything goes through all holders, and not every one can repeat its traffic; leave it out", flag)
		}
	}
	return nil
}

// ownFlags are those of what becomes of a run's result, which concern the command alone.
func ownFlags() []string {
	return []string{"output", "format", "report", "report-inconclusive", "perftest", "report_gbits"}
}

// notForPeers are the flags of the host that starts a run, whichever does it: a peer has its own, or none.
func notForPeers() []string {
	return append([]string{"peer", "victim", "ib-dev", "ib-port", "gid-index", "backend"}, ownFlags()...)
}

// forPeer are the flags that were given, for the peer that is to do the run.
func (f *runFlags) forPeer() []string {
	return f.argsBut(append(notForPeers(), "log-format")...)[1:]
}

// argsBut are the command run with the flags that were given, but for those of these names.
func (f *runFlags) argsBut(names ...string) []string {
	args := []string{"run"}
	f.given.Visit(func(flag *pflag.Flag) {
		if !slices.Contains(names, flag.Name) {
			args = append(args, "--"+flag.Name+"="+flag.Value.String())
		}
	})
	return args
}

// globalFlags are those of every command.
func globalFlags() []string { return []string{"verbose", "log-format"} }

// optionFlags are the flags that set one of workload's options each.
type optionFlags struct {
	options  workload.Options
	scenario string
	seconds  int
	fileSize string
	anonSize string

	rateLimit string // empty: none
	hugePages string // the size of each; empty: none

	fileOffset, fileLength string // empty: chosen
}

func (f *optionFlags) register(flags *pflag.FlagSet, defaults workload.Options) {
	f.options = defaults
	o := &f.options
	flags.StringVarP(&o.Device, "ib-dev", "d", o.Device, "RDMA device (default: the first with an active port)")
	flags.IntVarP(&o.Port, "ib-port", "i", o.Port, "port of the device")
	flags.IntVarP(&o.GIDIndex, "gid-index", "x", o.GIDIndex, "index of the port's GID (default: chosen)")
	flags.IntVarP(&o.MessageBytes, "size", "s", o.MessageBytes, "message size, bytes")
	flags.IntVar(&o.Pieces, "sge", o.Pieces, "pieces of local memory of a message, which the device gathers and scatters")
	flags.IntVarP(&o.Inline, "inline", "I", o.Inline, "bytes that the processor hands to the device with the request, in place of the device reading them")
	flags.StringVar(&f.rateLimit, "rate-limit", "", "bytes that are sent in a second at most: a number, or with K, M, G (default: as many as can be)")
	flags.IntVarP(&o.MTU, "mtu", "m", o.MTU, "bytes that a packet has: 256, 512, 1024, 2048 or 4096 (default: the port's)")
	flags.IntVar(&o.ServiceLevel, "sl", o.ServiceLevel, "service level")
	flags.IntVar(&o.TrafficClass, "tclass", o.TrafficClass, "traffic class; on RoCE v2 it has the DSCP, times 4")
	flags.IntVar(&o.PKeyIndex, "pkey-index", o.PKeyIndex, "index of the port's partition key")
	flags.IntVarP(&o.Timeout, "qp-timeout", "u", o.Timeout, "how long a queue pair waits for an answer before it repeats a request: 4.096 µs, doubled so many times (default: 17, half a second)")
	flags.IntVar(&o.Regions, "mr", o.Regions, "memory regions that the file's region is registered as; they divide its pages")
	flags.StringVar(&o.Access, "access", o.Access, "what the device may do with the file's region: write, or read alone, a control: the run itself writes")
	flags.BoolVar(&o.OnDemand, "odp", o.OnDemand, "register the file's region for paging on demand, which pins nothing: a way out, to be tried")
	flags.StringVar(&o.Rereg, "rereg", o.Rereg, "have the file's region re-registered (ibv_rereg_mr): access, registered for reading alone and then given write access; memory, over its memory after the first write, which unpins it and pins it anew (default: not)")
	flags.IntVar(&o.Windows, "mw", o.Windows, "have who sends reach the file's region by the key of a memory window over each memory region, which alone gives access to it: of type 1, or, with --mw=2, of type 2")
	flags.Lookup("mw").NoOptDefVal = "1"
	flags.StringVar(&o.Release, "release", o.Release, "how they are released: dereg, one after the other; parallel, by 8 threads at once; exit, with the process that has them; kill, the same killed")
	flags.IntVarP(&o.QueuePairs, "qp", "q", o.QueuePairs, "number of queue pairs")
	flags.BoolVar(&o.SRQ, "srq", o.SRQ, "have the queue pairs receive from one shared receive queue, through one of them after the other")
	flags.IntVarP(&o.TxDepth, "tx-depth", "t", o.TxDepth, "messages of a queue pair that are under way at most; 1: each alone, as its latency is measured")
	flags.IntVar(&o.Reads, "outs", o.Reads, "reads and atomic operations of a queue pair that are under way at most, where both devices have as many (default: 16)")
	flags.BoolVarP(&o.Manager, "rdma-cm", "R", o.Manager, "connect the queue pairs by the connection manager (rdma-core's librdmacm), as iWARP needs it")
	flags.BoolVarP(&o.Events, "events", "e", o.Events, "sleep until the device tells of completions (a completion channel), in place of polling for them")
	flags.IntVarP(&o.Iterations, "iters", "n", o.Iterations, "messages in each write phase (default: one pass over the file region)")
	flags.IntVarP(&f.seconds, "duration", "D", int(o.Duration/time.Second), "seconds that each write phase repeats its pass; traffic then goes on through clean and strip")
	flags.BoolVarP(&o.Bidirectional, "bidirectional", "b", o.Bidirectional, "passes from the file into the anonymous region as well")
	flags.StringVarP(&o.Connection, "connection", "c", o.Connection, "type of the queue pairs: RC; UC, which has no read, cas and fadd, and drops what is lost; UD, which has send and send-imm alone, in packets")
	flags.StringVar(&o.V4L2Device, "v4l2-dev", o.V4L2Device, "capture device that the holder v4l2 takes pictures from, such as /dev/video0 (default: one of the driver vivid)")
	flags.StringVar(&o.DIOSource, "dio-source", o.DIOSource, "slow block device or file that the holder dio reads from, and leaves as it is (default: a device of its own)")
	flags.StringVar(&o.Verb, "verb", o.Verb, "RDMA operation: write, read by who has the file's region, or send, which is received into it; write-imm and send-imm, with an immediate; cas and fadd, compare-and-swap and fetch-and-add of 8 bytes")
	flags.StringVar(&o.Backend, "backend", o.Backend, "how verbs reach the device: auto, uverbs (soft-RoCE alone) or ibverbs (rdma-core's library)")
	flags.StringVar(&o.Peer, "peer", o.Peer, "command that starts umemstress peer on the host that the bytes come from, such as 'ssh node2 umemstress peer' (default: this host alone)")
	flags.StringVar(&o.Victim, "victim", o.Victim, "which host has the file and loses it: local; remote, where the peer does the run and sends its evidence; both, in two runs at once")
	flags.StringVar(&o.File, "file", o.File, "a new file on a file system of yours (default: a scratch file system of the run's own)")
	flags.StringVar(&o.PmemDevice, "pmem-dev", o.PmemDevice, "empty device of persistent memory, such as /dev/pmem0, that --fs ext4-dax and xfs-dax are made on: it is overwritten")
	flags.StringVar(&o.ScratchDir, "scratch-dir", o.ScratchDir, "directory that the scratch file system takes its space from (default: $TMPDIR or /tmp)")
	flags.StringVar(&f.fileSize, "file-size", bytesize.Format(o.FileBytes), "size of the file-backed region: bytes, or with K, M, G; left out, it is less where the holder takes less")
	flags.StringVar(&f.fileOffset, "file-offset", "", "where the region begins in its file, so that it is a part of it (default: 0; 516K where the folios or the mutation want a part)")
	flags.StringVar(&f.fileLength, "file-length", "", "length of the file (default: to the end of the region; more where the folios or the mutation want a part)")
	flags.StringVar(&f.anonSize, "anon-size", bytesize.Format(o.AnonBytes), "size of the anonymous region, the source of the traffic")
	flags.StringVar(&f.hugePages, "use_hugepages", "", "have the anonymous region in huge pages of the machine's pool: of 2 MiB, or, with --use_hugepages=1G, of 1 GiB")
	flags.Lookup("use_hugepages").NoOptDefVal = "2M"
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the payload")
	flags.StringVar(&o.Check, "check", o.Check, "compare all that arrives with the payload, after each pass: on, or off for speed")
	flags.StringVar(&f.scenario, "scenario", "", "holder/fs/strip/mutation[/folios] in one, such as rdma/ext4/pageout/none")
	known := workload.Scenarios()
	flags.StringVar(&o.Scenario.Holder, "holder", o.Scenario.Holder, "what pins: "+names(known.Choices(scenario.PartHolder)))
	flags.StringVar(&o.Scenario.Filesystem, "fs", o.Scenario.Filesystem, "file system: "+names(known.Choices(scenario.PartFilesystem)))
	flags.StringVar(&o.Scenario.Strip, "strip", o.Scenario.Strip, "how buffers go: "+names(known.Choices(scenario.PartStrip)))
	flags.StringVar(&o.Scenario.Mutation, "mutation", o.Scenario.Mutation, "what happens to the file: "+names(known.Choices(scenario.PartMutation)))
	flags.StringVar(&o.Mutator, "mutator", o.Mutator, "who makes a mutation beside the region: self, or child, another process")
	flags.StringVar(&o.Scenario.Folios, "folios", o.Scenario.Folios, "how the page cache holds the file: "+names(known.Choices(scenario.PartFolios)))
	flags.StringVar(&o.Observe, "observe", o.Observe, "the probes: auto, off or require")
	flags.StringVarP(&o.Output, "output", "o", o.Output, "evidence directory (default: ./umemstress-TIME)")
	flags.BoolVar(&o.AllowCrash, "allow-crash", o.AllowCrash, "run even where it can take this machine down")
}

// finish turns the flags that are text into options.
func (f *optionFlags) finish() (workload.Options, error) {
	o := f.options
	var err error
	if f.scenario != "" {
		if o.Scenario, err = workload.Scenarios().Parse(f.scenario); err != nil {
			return o, err
		}
	}
	if f.seconds > int(math.MaxInt64/time.Second) {
		return o, exit.Usagef("--duration %d: give the seconds that a write phase takes, at most %d", f.seconds, math.MaxInt64/time.Second)
	}
	o.Duration = time.Duration(f.seconds) * time.Second
	if o.FileBytes, err = bytesize.Parse(f.fileSize); err != nil {
		return o, exit.Usagef("--file-size %w", err)
	}
	if f.fileOffset != "" {
		if o.FileOffset, err = bytesize.Parse(f.fileOffset); err != nil {
			return o, exit.Usagef("--file-offset %w", err)
		}
	}
	if f.fileLength != "" {
		if o.FileLength, err = bytesize.Parse(f.fileLength); err != nil {
			return o, exit.Usagef("--file-length %w", err)
		}
	}
	if o.AnonBytes, err = bytesize.Parse(f.anonSize); err != nil {
		return o, exit.Usagef("--anon-size %w", err)
	}
	if f.hugePages != "" {
		if o.HugePages, err = bytesize.Parse(f.hugePages); err != nil {
			return o, exit.Usagef("--use_hugepages %w", err)
		}
	}
	if f.rateLimit != "" {
		if o.RateLimit, err = bytesize.Parse(f.rateLimit); err != nil {
			return o, exit.Usagef("--rate-limit %w", err)
		}
	}
	o.Connection = connectionNamed(o.Connection)
	o.Tool = version
	mayDie := o.AllowCrash
	o.Attach = func(holder string) (witness.Observer, error) { return attachProbes(holder, mayDie) }
	return o, nil
}

// connectionNamed takes a type of queue pairs in small letters, too.
func connectionNamed(name string) string {
	all := umem.Connections()
	if at := slices.IndexFunc(all, func(c string) bool { return strings.EqualFold(c, name) }); at >= 0 {
		return all[at]
	}
	return name
}
