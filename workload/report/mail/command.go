package mail

import (
	"fmt"
	"regexp"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/remedy"
	"umemstress/workload/scenario"
)

// What run does unless it is told otherwise (workload.Preset quick, and workload/geometry.go; a test
// of the command holds that).
const (
	quickBytes   = 64 << 20
	quickMessage = 64 << 10
	quickDepth   = 128
	quickSeed    = 1
	partOffset   = 129 * 4096
	partBehind   = 2 << 20
)

// word is what may stand on a command line that somebody else will run: no shell makes anything
// else of it.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_/-]{0,99}$`)

// commands are those that show it again: on the kernel of the run, or else on one that is known to.
func commands(r *record.Record, t remedy.Trouble) (all []Command) {
	if !word.MatchString(r.Scenario.String()) {
		return nil
	}
	const tree = "--kernel also takes the tree in which a kernel was built ('umemstress lab config' has the options that it needs)."
	kernel, about := "DIR", "DIR is the tree in which the kernel was built; 'umemstress lab config' has the options that it needs."
	debian := strings.Contains(r.Host.Version, "Debian") && word.MatchString(r.Kernel)
	if debian {
		kernel, about = r.Kernel, "It boots that kernel of Debian in QEMU and needs no special hardware. "+tree
	}
	boot := ""
	if t.OfWarning {
		boot = " --append panic_on_warn=1"
	}
	if r.Facts != nil && r.Facts.DAX {
		boot += " --pmem 256"
	}
	all = append(all, Command{fmt.Sprintf("umemstress lab run --kernel %s%s -- %s", kernel, boot, strings.Join(RunFlags(r), " ")), about})
	if !debian {
		all = append(all, known(t)...)
	}
	return all
}

// known are commands that are known to show such a trouble.
func known(t remedy.Trouble) []Command {
	rep := remedy.Reproduce(t)
	if rep == nil {
		return nil
	}
	about := fmt.Sprintf("%s is known to end in %s on that kernel.", rep.Scenario, rep.Verdict)
	if rep.Needs != "" {
		about += " It takes " + rep.Needs + "."
	}
	return []Command{{rep.Command, about}}
}

// RunFlags are those of run that do what the record says was done, on a scratch file system.
func RunFlags(r *record.Record) []string {
	flags := []string{"--scenario", r.Scenario.String()}
	add := func(when bool, flag string, value ...any) {
		if when {
			flags = append(flags, flag)
			for _, v := range value {
				flags = append(flags, fmt.Sprint(v))
			}
		}
	}
	file, anon := region(r, record.RegionFile), region(r, record.RegionAnonymous)
	if anon.Bytes == 0 { // what the holder reads from is as large as what it writes to
		anon.Bytes = file.Bytes
	}
	add(file.Bytes > 0 && file.Bytes != quickBytes, "--file-size", size(int64(file.Bytes)))
	add(anon.Bytes > 0 && anon.Bytes != quickBytes, "--anon-size", size(int64(anon.Bytes)))
	offset, length := geometry(r.Scenario, int64(file.Bytes))
	add(file.Offset >= 0 && file.Offset != offset, "--file-offset", size(file.Offset))
	add(r.File.Bytes > 0 && r.File.Bytes != length && file.Bytes > 0, "--file-length", size(r.File.Bytes))
	o := r.Settings
	add(o.MessageBytes > 0 && o.MessageBytes != quickMessage, "--size", o.MessageBytes)
	add(o.QueuePairs > 1, "--qp", o.QueuePairs)
	add(o.SRQ, "--srq")
	add(o.Pieces > 1, "--sge", o.Pieces)
	add(o.Inline > 0, "--inline", o.Inline)
	add(o.RateLimit > 0, "--rate-limit", o.RateLimit)
	add(o.Reads > 0, "--outs", o.Reads)
	add(o.TxDepth > 0 && o.TxDepth != quickDepth, "--tx-depth", o.TxDepth)
	add(o.Events, "--events")
	add(o.Regions > 1, "--mr", o.Regions)
	add(o.HugePages && o.HugePageBytes != 1<<30, "--use_hugepages")
	add(o.HugePageBytes == 1<<30, "--use_hugepages=1G")
	add(o.Access == "read", "--access", o.Access)
	add(o.OnDemand, "--odp")
	add(o.Rereg != "", "--rereg", o.Rereg)
	add(o.Windows && o.WindowType != 2, "--mw")
	add(o.WindowType == 2, "--mw=2")
	add(o.Release != "" && o.Release != "dereg", "--release", o.Release)
	add(o.Manager, "--rdma-cm")
	add(o.MTU > 0, "--mtu", o.MTU)
	add(o.ServiceLevel > 0, "--sl", o.ServiceLevel)
	add(o.TrafficClass > 0, "--tclass", o.TrafficClass)
	add(o.PKeyIndex > 0, "--pkey-index", o.PKeyIndex)
	add(o.Timeout > 0, "--qp-timeout", o.Timeout)
	add(o.Iterations > 0, "--iters", o.Iterations)
	add(o.Seconds > 0, "--duration", o.Seconds)
	add(o.Connection != "" && o.Connection != "RC", "--connection", o.Connection)
	add(o.Verb != "" && o.Verb != "write", "--verb", o.Verb)
	add(o.Bidirectional, "--bidirectional")
	add(o.Seed != quickSeed, "--seed", o.Seed)
	add(o.Mutator == "child", "--mutator", o.Mutator)
	add(r.Verdict == record.Crashed, "--allow-crash")
	return flags
}

// region is the first of the kind; empty where there is none.
func region(r *record.Record, kind string) record.Region {
	for _, region := range r.Regions {
		if region.Kind == kind {
			return region
		}
	}
	return record.Region{}
}

// geometry is where the region lies in its file, and how long that is, where nothing is said.
func geometry(s scenario.Scenario, bytes int64) (offset, length int64) {
	if s.Folios != "large" && !strings.HasSuffix(s.Mutation, "-beside") && s.Mutation != "punch-apart" {
		return 0, bytes
	}
	return partOffset, (partOffset+bytes+partBehind-1)&^(partBehind-1) + partBehind
}

// size is a number of bytes as flags take it.
func size(bytes int64) string {
	for _, unit := range []struct {
		letter string
		bits   int
	}{{"G", 30}, {"M", 20}, {"K", 10}} {
		if bytes > 0 && bytes&(1<<unit.bits-1) == 0 {
			return fmt.Sprintf("%d%s", bytes>>unit.bits, unit.letter)
		}
	}
	return fmt.Sprint(bytes)
}
