package workload

import (
	"math"
	"testing"
	"time"

	"umemstress/workload/internal/worktest"
)

func TestOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"--holder nvme":     func(o *Options) { o.Scenario.Holder = "nvme" },
		"--fs zfs":          func(o *Options) { o.Scenario.Filesystem = "zfs" },
		"--strip magic":     func(o *Options) { o.Scenario.Strip = "magic" },
		"--mutation rename": func(o *Options) { o.Scenario.Mutation = "rename" },
		"--connection XRC":  func(o *Options) { o.Connection = "XRC" },
		"--connection UC: it has no --verb read; choose write or send or write-imm or send-imm": func(o *Options) { o.Connection, o.Verb = "UC", "read" },
		"--connection UD: it has no --verb write; choose send or send-imm, or":                  func(o *Options) { o.Connection = "UD" },
		"--size 65536: a message over UD has at most the bytes of a packet, 4096":               func(o *Options) { o.Connection, o.Verb = "UD", "send" },
		"--connection UC: the holder dio":                                                       func(o *Options) { o.Connection, o.Scenario.Holder = "UC", "dio" },
		"--srq: --verb write takes no receives":                                                 func(o *Options) { o.SRQ = true },
		"--srq: the holder dio has no queue":                                                    func(o *Options) { o.SRQ, o.Scenario.Holder = true, "dio" },
		"--check off: what --connection UC":                                                     func(o *Options) { o.Connection, o.Check = "UC", CheckOff },
		"--mw: the holder dio has no memory regions":                                            func(o *Options) { o.Windows, o.Scenario.Holder = 1, "dio" },
		"--mw: --verb send-imm asks for no key":                                                 func(o *Options) { o.Windows, o.Verb = 1, "send-imm" },
		"--mw: --verb read asks for no key":                                                     func(o *Options) { o.Windows, o.Verb = 1, "read" },
		"--mw: with --access read nobody sends":                                                 func(o *Options) { o.Windows, o.Access = 1, AccessRead },
		"--mw=3: there are memory windows of type 1 and 2":                                      func(o *Options) { o.Windows = 3 },
		"--mw=-1: there are memory windows of type 1 and 2":                                     func(o *Options) { o.Windows = -1 },
		"--mw=2: a window of type 2 gives access through one queue pair":                        func(o *Options) { o.Windows, o.QueuePairs = 2, 2 },
		"--rereg keys: choose access or memory":                                                 func(o *Options) { o.Rereg = "keys" },
		"--rereg access: the holder dio has no memory regions":                                  func(o *Options) { o.Rereg, o.Scenario.Holder = "access", "dio" },
		"--rereg access: with --odp nothing is pinned":                                          func(o *Options) { o.Rereg, o.OnDemand = "access", true },
		"--rereg memory: with --mw a window is bound":                                           func(o *Options) { o.Rereg, o.Windows = "memory", 1 },
		"--rereg access: with --access read":                                                    func(o *Options) { o.Rereg, o.Access = "access", AccessRead },
		"--rereg memory: with --release kill":                                                   func(o *Options) { o.Rereg, o.Release = "memory", "kill" },
		"--verb atomic":                                                                         func(o *Options) { o.Verb = "atomic" },
		"--backend magic":                                                                       func(o *Options) { o.Backend = "magic" },
		"--observe maybe":                                                                       func(o *Options) { o.Observe = "maybe" },
		"--file-size 5000":                                                                      func(o *Options) { o.FileBytes = 5000 },
		"--anon-size 0":                                                                         func(o *Options) { o.AnonBytes = 0 },
		"--file-size 9223372036854771712: give at most 140737488355328":                         func(o *Options) { o.FileBytes = math.MaxInt64 &^ 4095 },
		"--anon-size 281474976710656: give at most":                                             func(o *Options) { o.AnonBytes = 1 << 48 },
		"--file-offset 9223372036854771712: no file is that long":                               func(o *Options) { o.FileOffset = math.MaxInt64 &^ 4095 },
		"--folios huge":    func(o *Options) { o.Scenario.Folios = "huge" },
		"--mutator nobody": func(o *Options) { o.Mutator = "nobody" },
		"--mutator child: the mutation none is the run's own": func(o *Options) { o.Mutator = MutatorChild },
		"--file-offset 100":                                   func(o *Options) { o.FileOffset = 100 },
		"ends at 67108864, beyond the file":                   func(o *Options) { o.FileLength = 4096 },
		"ends at 67637248, beyond the file":                   func(o *Options) { o.Scenario.Folios, o.FileLength = "large", 64<<20 },
		"--file-length 67108865":                              func(o *Options) { o.FileLength = 64<<20 + 1 },
		"cold takes nothing but what belongs to large folios": func(o *Options) { o.Scenario.Strip, o.Scenario.Folios = "cold", "single" },
		"punch-beside reaches the region through large folios": func(o *Options) {
			o.Scenario.Strip, o.Scenario.Mutation, o.Scenario.Folios = "none", "punch-beside", "single"
		},
		"large folios of vfat are not made here; use ext4, xfs, btrfs or tmpfs": func(o *Options) { o.Scenario.Filesystem, o.Scenario.Folios = "vfat", "large" },
		"--size 0":                         func(o *Options) { o.MessageBytes = 0 },
		"--mtu 1500":                       func(o *Options) { o.MTU = 1500 },
		"--sl 16":                          func(o *Options) { o.ServiceLevel = 16 },
		"--tclass 256":                     func(o *Options) { o.TrafficClass = 256 },
		"--pkey-index -1":                  func(o *Options) { o.PKeyIndex = -1 },
		"--qp-timeout 32":                  func(o *Options) { o.Timeout = 32 },
		"--qp-timeout 14: over UC":         func(o *Options) { o.Timeout, o.Connection = 14, "UC" },
		"--qp 0":                           func(o *Options) { o.QueuePairs = 0 },
		"--mr 0":                           func(o *Options) { o.Regions = 0 },
		"--mr 3":                           func(o *Options) { o.Regions = 3 },
		"--mr 4: the holder dio":           func(o *Options) { o.Regions, o.Scenario.Holder = 4, "dio" },
		"--release never":                  func(o *Options) { o.Release = "never" },
		"--release parallel: there is one": func(o *Options) { o.Release = "parallel" },
		"--ib-port 0":                      func(o *Options) { o.Port = 0 },
		"--iters -1":                       func(o *Options) { o.Iterations = -1 },
		"--iters 1023":                     func(o *Options) { o.Iterations = 1023 },
		"exclude each":                     func(o *Options) { o.Iterations, o.Duration = 2000, time.Second },
	} {
		o, err := Preset("quick")
		if err != nil {
			t.Fatal(err)
		}
		if err := o.validate(); err != nil {
			t.Fatalf("the preset itself: %v", err)
		}
		spoil(&o)
		worktest.WantUsage(t, o.validate(), want)
	}
	_, err := Preset("slow")
	worktest.WantUsage(t, err, "--preset slow: choose quick")
}

// A holder that brings each byte once cannot repeat its traffic.
func TestHoldersBringOnce(t *testing.T) {
	for _, holder := range []string{"dio", "vmwritev"} {
		for _, repeat := range []func(*Options){
			func(o *Options) { o.Iterations = 2000 }, func(o *Options) { o.Duration = time.Second }, func(o *Options) { o.Bidirectional = true },
		} {
			o := quick()
			o.Scenario.Holder = holder
			repeat(&o)
			worktest.WantUsage(t, o.validate(), "the holder "+holder+" brings each byte once")
		}
	}
}

// A region is the whole of its file, unless the folios or the mutation want a part; what is
// given stands.
func TestGeometry(t *testing.T) {
	for name, c := range map[string]struct {
		choose         func(*Options)
		offset, length int64
	}{
		"whole":           {func(*Options) {}, 0, 64 << 20},
		"large":           {func(o *Options) { o.Scenario.Folios = "large" }, 516 << 10, 68 << 20},
		"beside":          {func(o *Options) { o.Scenario.Mutation = "write-beside" }, 516 << 10, 68 << 20},
		"offset":          {func(o *Options) { o.FileOffset = 4096 }, 4096, 64<<20 + 4096},
		"large, at 0":     {func(o *Options) { o.Scenario.Folios, o.FileOffset = "large", 0 }, 0, 66 << 20},
		"large, and tail": {func(o *Options) { o.Scenario.Folios, o.FileLength = "large", 128<<20 }, 516 << 10, 128 << 20},
	} {
		o := quick()
		c.choose(&o)
		if offset, length := o.geometry(); offset != c.offset || length != c.length {
			t.Errorf("%s: from %d of %d, want from %d of %d", name, offset, length, c.offset, c.length)
		}
	}
}
