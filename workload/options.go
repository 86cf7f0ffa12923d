package workload

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/rdma"
	"umemstress/workload/filesystem"
	"umemstress/workload/holder"
	"umemstress/workload/holder/umem"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/internal/fault"
	"umemstress/workload/mutation"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
	"umemstress/workload/witness"
)

// The ways to use the probes in a run.
const (
	ObserveAuto    = "auto"    // with probes where the host can have them
	ObserveOff     = "off"     // without
	ObserveRequire = "require" // fail where the host cannot have them
)

// Who makes a mutation beside the region.
const (
	MutatorSelf  = "self"  // the run itself
	MutatorChild = "child" // another process, which has nothing mapped or pinned
)

// What the device may do with the file's region.
const (
	AccessWrite = "write" // what the verb takes
	AccessRead  = "read"  // no more than that: the run itself writes, and the device reads
)

// Options say what a run does. Start from Preset.
type Options struct {
	Scenario   scenario.Scenario
	Candidates []Candidate    // worst first: the run is of the first that does harm, in place of Scenario
	choice     *record.Choice // how Scenario was found among candidates

	Device   string // RDMA device; empty: the first with an active port
	Port     int    // port of the device, from 1
	GIDIndex int    // index into the port's GID table; negative: chosen by the library
	Backend  string // how verbs reach the device: one of rdma.Backends
	Peer     string // command that starts 'umemstress peer' on the other host; empty: there is none
	// Of such a run: which host has the file's region, and the flags that the peer is told where that is the peer.
	Victim    string
	PeerFlags []string
	Caller    *remote.Caller // who has started the peer that this process is, and has the anonymous region; nil: it is none
	// Of the way: rdma.PathConfig.
	MTU, ServiceLevel, TrafficClass, PKeyIndex, Timeout int

	MessageBytes  int           // bytes an RDMA operation carries
	Pieces        int           // of local memory that each has
	Inline        int           // bytes; operations that carry no more have them inline
	RateLimit     int64         // bytes a second at most; 0: as many as can be
	QueuePairs    int           // connections that share the traffic
	SRQ           bool          // and their receives: one queue has them
	TxDepth       int           // messages of each that are under way at most
	Reads         int           // of which reads and atomic operations; 0: rdma.DefaultReads
	Events        bool          // completions are slept for until the device tells of them, where else they are polled for
	Regions       int           // memory regions that the file's region is registered as
	Access        string        // what the device may do with these: AccessWrite or AccessRead
	OnDemand      bool          // these are paged on demand and not pinned
	Rereg         string        // how they are re-registered: one of umem.Reregs; empty: they are not
	Windows       int           // who sends reaches them through a memory window of that type each; 0: by their own keys
	Release       string        // how they are released: one of umem.Releases
	Iterations    int           // messages a write phase; 0: one pass over the file region
	Duration      time.Duration // each write phase repeats its pass for as long, and traffic goes on through clean and strip; 0: it does not
	Bidirectional bool          // passes from the file into the anonymous region as well
	Connection    string        // of the queue pairs: one of umem.Connections
	Manager       bool          // the connection manager (librdmacm) connects the queue pairs
	Verb          string        // one of umem.Verbs

	File       string // a new file on the user's file system; empty: a scratch file system
	PmemDevice string // of persistent memory, which a file system without a page cache is made on; empty: none
	ScratchDir string // where the scratch's space comes from; empty: os.TempDir
	FileBytes  int64  // size of the file-backed region
	FitFile    bool   // as much of FileBytes will do as the holder takes
	FileOffset int64  // of the region in its file; negative: chosen, see geometry
	FileLength int64  // of the file; 0: chosen, see geometry
	AnonBytes  int64  // size of the anonymous region, the source of the traffic
	HugePages  int64  // bytes of each huge page that it is of, 2 MiB or 1 GiB; 0: of usual ones
	Seed       uint64 // of the payload
	Check      string // whether what arrives is compared with it: CheckOn or CheckOff
	Mutator    string // who makes a mutation beside the region: MutatorSelf or MutatorChild
	DIOSource  string // a slow block device or file that the holder dio reads from; empty: a device of the run's own
	V4L2Device string // the node of a capture device that the holder v4l2 uses; empty: one of vivid

	Observe    string                                        // ObserveAuto, ObserveOff or ObserveRequire
	Attach     func(holder string) (witness.Observer, error) // nil: without; attaches the probes to the release of a holder, by event's name for it
	Output     string                                        // the evidence directory
	Log        logrus.FieldLogger                            // what a person may want to know meanwhile; nil: logrus's own logger
	Tool       string                                        // the version of this program, for the record
	AllowCrash bool                                          // run even where it can take the machine down

	Status         func(Status)  // told each StatusInterval how far a phase is; nil: nobody is
	StatusInterval time.Duration // 0: never
}

// quick are the options of the shortest run that proves a loss.
func quick() Options {
	return Options{
		Scenario:     scenario.Scenario{Holder: "rdma", Filesystem: "ext4", Strip: "pageout", Mutation: "none", Folios: scenario.Natural},
		Port:         1,
		GIDIndex:     -1,
		Backend:      "auto",
		MessageBytes: 64 << 10,
		Pieces:       1,
		QueuePairs:   1,
		TxDepth:      umem.DefaultDepth,
		Regions:      1,
		Access:       AccessWrite,
		Release:      umem.ReleaseDereg,
		Connection:   umem.ConnectionRC,
		Verb:         umem.VerbWrite,
		FileBytes:    64 << 20,
		FileOffset:   -1,
		AnonBytes:    64 << 20,
		Seed:         1,
		Check:        CheckOn,
		Mutator:      MutatorSelf,
		Observe:      ObserveAuto,
		Victim:       VictimLocal,
	}
}

// attach is what attaches the probes to the release of the scenario's holder; nil: they are
// switched off.
func (o Options) attach() func() (witness.Observer, error) {
	if o.Observe == ObserveOff || o.Attach == nil {
		return nil
	}
	holder, _ := scenario.Find(holderKinds(), o.Scenario.Holder)
	return func() (witness.Observer, error) { return o.Attach(holder.Probed) }
}

func (o Options) log() logrus.FieldLogger {
	if o.Log != nil {
		return o.Log
	}
	return logrus.StandardLogger()
}

// scratchDir is where the scratch's space comes from.
func (o Options) scratchDir() string {
	if o.ScratchDir != "" {
		return o.ScratchDir
	}
	return os.TempDir()
}

// Validate refuses what Run would refuse before it does anything, on whatever machine.
func (o Options) Validate() error {
	for _, c := range o.Candidates {
		one := o
		one.Scenario, one.Candidates = c.Scenario, nil
		if err := one.Validate(); err != nil {
			return err
		}
	}
	o.Scenario.Folios = cmp.Or(o.Scenario.Folios, scenario.Natural)
	return o.validate()
}

// validate refuses what cannot be run, with the flag that says otherwise.
func (o Options) validate() error {
	if err := Scenarios().Validate(o.Scenario); err != nil {
		return err
	}
	for _, choice := range []struct {
		flag, value string
		choices     []string
	}{
		{"connection", o.Connection, umem.Connections()},
		{"verb", o.Verb, umem.Verbs()},
		{"access", o.Access, []string{AccessWrite, AccessRead}},
		{"release", o.Release, umem.Releases()},
		{"backend", o.Backend, rdmaBackends()},
		{"check", o.Check, []string{CheckOn, CheckOff}},
		{"mutator", o.Mutator, []string{MutatorSelf, MutatorChild}},
		{"observe", o.Observe, []string{ObserveAuto, ObserveOff, ObserveRequire}},
		{"victim", o.Victim, []string{VictimLocal, VictimRemote, VictimBoth}},
	} {
		if err := oneOf(choice.flag, choice.value, choice.choices); err != nil {
			return err
		}
	}
	if mutates, _ := scenario.Find(mutation.Kinds(), o.Scenario.Mutation); o.Mutator == MutatorChild && !mutates.Beside {
		return fault.Usagef("--mutator child: the mutation %s is the run's own; give one beside the region, such as punch-beside", o.Scenario.Mutation)
	}
	if o.DIOSource != "" && o.Scenario.Holder != "dio" {
		return fault.Usagef("--dio-source %s: only the holder dio reads from what it is given; give --holder dio in place of %s", o.DIOSource, o.Scenario.Holder)
	}
	if o.V4L2Device != "" && o.Scenario.Holder != "v4l2" {
		return fault.Usagef("--v4l2-dev %s: the holder %s captures from no device; give --holder v4l2", o.V4L2Device, o.Scenario.Holder)
	}
	if err := o.validatePlace(); err != nil {
		return err
	}
	if holder, _ := scenario.Find(holderKinds(), o.Scenario.Holder); holder.Once && (o.Iterations > 0 || o.Duration > 0 || o.Bidirectional) {
		return fault.Usagef("the holder %s brings each byte once, and cannot repeat its traffic; give --iters 0 --duration 0 --bidirectional=false", holder.Name)
	}
	if holder, _ := scenario.Find(holderKinds(), o.Scenario.Holder); holder.OneWay && o.Bidirectional {
		return fault.Usagef("the holder %s brings nothing back from the file; give --bidirectional=false", holder.Name)
	}
	fs, _ := scenario.Find(filesystem.Kinds(), o.Scenario.Filesystem)
	pageSize := max(int64(os.Getpagesize()), fs.PageBytes)
	for _, region := range []struct {
		flag  string
		bytes int64
	}{{"file-size", o.FileBytes}, {"anon-size", o.AnonBytes}} {
		if region.bytes <= 0 || region.bytes%pageSize != 0 {
			return fault.Usagef("--%s %d: give a positive multiple of the page size of %s, %d bytes", region.flag, region.bytes, fs.Name, pageSize)
		}
		if region.bytes > maxRegionBytes {
			return fault.Usagef("--%s %d: give at most %d bytes, which is all that a process can map", region.flag, region.bytes, maxRegionBytes)
		}
	}
	if err := o.validateGeometry(pageSize); err != nil {
		return err
	}
	if err := o.validateMessages(); err != nil {
		return err
	}
	if err := errors.Join(o.validateManager(), o.validateVictim(), o.validateRereg()); err != nil {
		return err
	}
	return o.validateTraffic()
}

// maxRegionBytes is the address space of a process on amd64 with four levels of page tables.
const maxRegionBytes = 1 << 47

// maxMessageBytes is the largest message of an RC queue pair (InfiniBand
// Architecture Specification, volume 1, 9.7.4.1.4; max_msg_sz of ib_port_attr).
const maxMessageBytes = 1 << 31

// AtomicBytes is the length of a message of an atomic operation.
const AtomicBytes = rdma.AtomicBytes

// MovesNumbers says whether a verb has messages of AtomicBytes and no others.
func MovesNumbers(verb string) bool { return umem.Atomic(verb) }

// maxToldRegions is how many memory regions one process tells another one of, in a line of 16 MiB.
const maxToldRegions = 1 << 18

func (o Options) validateTraffic() error {
	switch {
	case o.MessageBytes < 1 || int64(o.MessageBytes) > maxMessageBytes:
		return fault.Usagef("--size %d: give from 1 to %d bytes", o.MessageBytes, maxMessageBytes)
	case umem.Atomic(o.Verb) && o.MessageBytes != AtomicBytes:
		return fault.Usagef("--size %d: --verb %s changes numbers of %d bytes; give --size %d", o.MessageBytes, o.Verb, AtomicBytes, AtomicBytes)
	// rdma_rxe of 5.10 cannot send the answer over a network ("Failed sending ack"), and who has the device
	// open then never ends: seen with two devices of one guest.
	case umem.Atomic(o.Verb) && o.Peer != "":
		return fault.Usagef("--peer %s: --verb %s is for one device alone, since some kernels hang of it over a network; give another verb", o.Peer, o.Verb)
	case umem.Atomic(o.Verb) && o.Bidirectional:
		return fault.Usagef("--bidirectional: --verb %s brings nothing back from the file; leave it out", o.Verb)
	case o.QueuePairs < 1 || o.QueuePairs > 1024:
		return fault.Usagef("--qp %d: give from 1 to 1024 queue pairs", o.QueuePairs)
	case o.TxDepth < 1 || o.TxDepth > umem.MaxDepth:
		return fault.Usagef("--tx-depth %d: give from 1 to %d messages of a queue pair", o.TxDepth, umem.MaxDepth)
	case o.Regions < 1 || o.FileBytes%int64(o.Regions) != 0 || o.FileBytes/int64(o.Regions)%int64(os.Getpagesize()) != 0:
		return fault.Usagef("--mr %d: give a number of memory regions that divides the %d pages of the file's region", o.Regions, o.FileBytes/int64(os.Getpagesize()))
	case o.Regions > maxToldRegions && (o.Peer != "" || o.Release == umem.ReleaseExit || o.Release == umem.ReleaseKill):
		return fault.Usagef("--mr %d: with --peer, or --release exit or kill, at most %d memory regions can be told of", o.Regions, maxToldRegions)
	case o.Regions > 1 && o.Scenario.Holder != "rdma":
		return fault.Usagef("--mr %d: the holder %s has no memory regions; give --holder rdma", o.Regions, o.Scenario.Holder)
	case o.TxDepth != umem.DefaultDepth && o.Scenario.Holder != "rdma":
		return fault.Usagef("--tx-depth %d: the holder %s has no queue pairs; give --holder rdma", o.TxDepth, o.Scenario.Holder)
	case o.Events && o.Scenario.Holder != "rdma":
		return fault.Usagef("--events: the holder %s has no completion queue; give --holder rdma", o.Scenario.Holder)
	case o.Peer != "" && o.Scenario.Holder != "rdma":
		return fault.Usagef("--peer %s: the holder %s has no other host; give --holder rdma", o.Peer, o.Scenario.Holder)
	case o.Release != umem.ReleaseDereg && o.Scenario.Holder != "rdma":
		return fault.Usagef("--release %s: the holder %s has no memory regions; give --holder rdma", o.Release, o.Scenario.Holder)
	case o.OnDemand && o.Scenario.Holder != "rdma":
		return fault.Usagef("--odp: the holder %s has no memory regions; give --holder rdma", o.Scenario.Holder)
	case o.OnDemand && o.Scenario.Folios != scenario.Natural:
		return fault.Usagef("--odp: no folio is pinned; leave --folios %s out", o.Scenario.Folios)
	case o.OnDemand && (o.Release == umem.ReleaseExit || o.Release == umem.ReleaseKill):
		return fault.Usagef("--odp: nothing is pinned that could outlive a process; leave --release %s out", o.Release)
	case o.Release == umem.ReleaseParallel && o.Regions == 1:
		return fault.Usagef("--release %s: there is one memory region; give more with --mr", o.Release)
	case o.MTU != 0 && !slices.Contains([]int{256, 512, 1024, 2048, 4096}, o.MTU):
		return fault.Usagef("--mtu %d: choose 256, 512, 1024, 2048 or 4096", o.MTU)
	case o.ServiceLevel < 0 || o.ServiceLevel > 15:
		return fault.Usagef("--sl %d: give a service level from 0 to 15", o.ServiceLevel)
	case o.TrafficClass < 0 || o.TrafficClass > 255:
		return fault.Usagef("--tclass %d: give a traffic class from 0 to 255", o.TrafficClass)
	case o.PKeyIndex < 0 || o.PKeyIndex > 65535:
		return fault.Usagef("--pkey-index %d: give an index from 0 to 65535", o.PKeyIndex)
	case o.Port < 1:
		return fault.Usagef("--ib-port %d: ports count from 1", o.Port)
	case o.Iterations < 0:
		return fault.Usagef("--iters %d: give the number of messages a write phase sends", o.Iterations)
	case o.Duration < 0:
		return fault.Usagef("--duration %v: give the seconds that a write phase takes", o.Duration)
	case o.Iterations > 0 && o.Duration > 0:
		return fault.Usagef("--iters and --duration exclude each other: give one")
	}
	if o.Iterations == 0 {
		return nil
	}
	perPass := holder.Pass{Size: o.MessageBytes, Target: o.FileBytes, Source: o.AnonBytes, Piece: o.FileBytes / int64(o.Regions)}.Count()
	if o.Iterations < perPass {
		return fault.Usagef("--iters %d: one pass over the file region takes %d messages of %d bytes, and a write phase makes at least one", o.Iterations, perPass, o.MessageBytes)
	}
	return nil
}

func (o Options) settings() record.Settings {
	return record.Settings{
		MessageBytes:  o.MessageBytes,
		Pieces:        o.Pieces,
		Inline:        o.Inline,
		RateLimit:     o.RateLimit,
		QueuePairs:    o.QueuePairs,
		SRQ:           o.SRQ,
		TxDepth:       o.TxDepth,
		Reads:         o.Reads,
		Events:        o.Events,
		Regions:       o.Regions,
		HugePages:     o.HugePages != 0,
		HugePageBytes: o.HugePages,
		Access:        o.Access,
		OnDemand:      o.OnDemand,
		Rereg:         o.Rereg,
		Windows:       o.Windows != 0,
		WindowType:    o.Windows,
		Release:       o.Release,
		MTU:           o.MTU,
		ServiceLevel:  o.ServiceLevel,
		TrafficClass:  o.TrafficClass,
		PKeyIndex:     o.PKeyIndex,
		Timeout:       o.Timeout,
		Iterations:    o.Iterations,
		Seconds:       int(o.Duration / time.Second),
		Bidirectional: o.Bidirectional,
		Seed:          o.Seed,
		Check:         o.Check,
		Connection:    o.Connection,
		Manager:       o.Manager,
		Verb:          o.Verb,
		Mutator:       o.Mutator,
	}
}

func oneOf(flag, value string, choices []string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return fault.Usagef("--%s %s: choose %s", flag, value, strings.Join(choices, " or "))
}
