package triage

import (
	"slices"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/record"
)

// opinion is what an incident tells of this bug.
type opinion struct {
	sure   Sure
	effect record.Verdict
	says   string
	fs     string
	bugOn  bool // ext4's BUG_ON killed it
	dirty  bool // pages without buffers were marked dirty: what BUG_ON dies of later
}

// judge forms it. What is none of this bug is Other, and what is no bug is Nothing.
func (s signs) judge(i *incident) opinion {
	switch i.kind {
	case kmsg.Bufferless:
		return opinion{sure: Certain, effect: record.DataLost, fs: "ext4",
			says: "ext4 found dirty pages without buffers at writeback and threw them away; msync and fsync return 0"}
	case kmsg.Untold:
		return opinion{sure: Certain, effect: record.Exposed, fs: "btrfs",
			says: "btrfs found dirty pages that it had not been told of, and did not write them; msync and fsync return EUCLEAN"}
	case kmsg.Warning:
		return s.warning(i)
	case kmsg.Panic, kmsg.Oops, kmsg.Bug, kmsg.Fault:
		return s.died(i)
	case kmsg.Hung:
		return s.hung(i)
	case kmsg.Suppressed, kmsg.FSWarning:
		return opinion{sure: Nothing}
	case kmsg.FSError:
		if i.head.Filesystem == "BTRFS" && strings.Contains(i.head.Text, "failed to submit blocks") && strings.HasSuffix(i.head.Text, ": -117") {
			return opinion{sure: Possible, effect: record.Exposed, fs: "btrfs", says: "btrfs did not write pages, with EUCLEAN: as what follows when it was not told of them"}
		}
	}
	return other(i)
}

// warning judges a WARN(), or the panic that came of one.
func (s signs) warning(i *incident) opinion {
	if !slices.Contains(dirtying, i.head.Function) {
		if len(i.death.Calls) > 0 && record.Death(i.death).In(s.all) {
			return opinion{sure: Possible, says: "the kernel warned where pages are marked dirty at a release, of something else"}
		}
		return other(i)
	}
	o := opinion{sure: Possible, effect: record.Reproduced, fs: "ext4", dirty: true,
		says: "pages of ext4 were marked dirty without it being told: without buffers, or without the page's lock, which the trace would tell"}
	line := i.sourceLine()
	switch {
	case i.has(locking) && line != notLocked, line == noBuffers:
		o.sure = Certain
		o.says = "pages of ext4 were marked dirty that had lost their buffers: it throws them away at writeback, or dies of them"
	case line == notLocked, i.holder() != "":
		o.sure, o.dirty = Likely, false
		o.effect = record.Exposed
		o.says = "pages of ext4 were marked dirty without it being told, by who did not even lock them; whether they had buffers is not said"
	}
	if i.death.Panicked {
		o.effect = record.Crashed
		o.says += "; the machine died of the warning (panic_on_warn)"
	}
	return o
}

// died judges the end of a thread, as the judge of a run does (record.Death.In).
func (s signs) died(i *incident) opinion {
	if i.head.Kind == kmsg.Warning {
		return s.warning(i)
	}
	death := record.Death(i.death)
	if len(i.functions()) == 0 && i.untold() {
		o := opinion{sure: Possible, effect: record.Crashed, says: "a thread died, and what would tell where was cut off"}
		if i.head.File == inodeSource {
			o.fs, o.bugOn, o.says = "ext4", true, "a BUG of ext4's inode code; what would tell where in it was cut off"
		}
		return o
	}
	o := opinion{sure: Possible, effect: record.Crashed}
	switch {
	case !death.In(s.all) && i.cut && len(death.Calls) == 0 && i.kind != kmsg.Panic && i.head.Kind != kmsg.Bug:
		o.says = "a thread died, and who called where it did was cut off"
	case !death.In(s.all):
		return other(i)
	case death.In(s.ext4):
		o.fs = "ext4"
		o.says = "a thread died where ext4 meets pages without buffers"
		if i.head.Kind == kmsg.Bug && (i.head.File == inodeSource || i.head.File == "") {
			o.sure, o.bugOn = Likely, true
			o.says = "a thread died in a BUG of ext4's writeback, where kernels before cc5095747edf die of a dirty page without buffers"
			if i.sourceLine() == bugNoBuffer {
				o.sure = Certain
				o.says = "a thread died in ext4's BUG_ON of a dirty page without buffers, at writeback"
			}
		}
	case death.In(s.btrfs):
		o.fs, o.sure = "btrfs", Likely
		o.says = "a thread died where btrfs meets pages that were dirtied behind its back"
		if i.has(locking) {
			o.sure = Certain
			o.says = "a thread died at a release, marking a folio of btrfs dirty whose private state a split had taken"
		}
	default:
		o.says = "a thread died where pages are marked dirty at a release"
	}
	if i.death.Panicked {
		o.says += "; the machine died with it"
	}
	return o
}

// untold says whether the words of a death without a trace leave open where it was.
func (i *incident) untold() bool {
	switch i.head.Kind {
	case kmsg.Bug:
		return strings.HasPrefix(inodeSource, i.head.File) // which may have been cut off, too
	case kmsg.Panic:
		return kmsg.CauseOf(i.head.Text) == kmsg.OfDeath
	}
	return true
}

// hung judges a task that waits.
func (s signs) hung(i *incident) opinion {
	if record.Death(i.death).In(s.all) {
		return opinion{sure: Possible, effect: record.Crashed, says: "a task waits in writeback, as for a page that a dead thread has locked"}
	}
	return other(i)
}

func other(i *incident) opinion {
	says := map[kmsg.Kind]string{
		kmsg.Warning: "a warning of something else", kmsg.Bug: "a BUG of something else", kmsg.Fault: "a fault of something else",
		kmsg.Oops: "a thread died of something else", kmsg.Panic: "the machine died of something else", kmsg.Hung: "a task waits for something else",
		kmsg.Lockup: "a CPU got stuck", kmsg.Report: "the kernel reports another bug", kmsg.FSError: "a file system reports an error of its own",
	}[i.kind]
	if says == "" {
		says = "something else"
	}
	return opinion{sure: Other, says: says}
}

// where is the kernel's words and its functions from the place on.
func (i *incident) where() string {
	death := record.Death(i.death)
	if death.Place == "" && i.kind == kmsg.Warning {
		death.Place = i.head.Function
	}
	return evidence(death.Where())
}

// worker says whether a thread is one of the kernel's own that work for others.
func worker(comm string) bool {
	for _, name := range []string{"kworker/", "ksoftirqd/", "kswapd", "iou-wrk-", "jbd2/", "rcu_", "swapper/", "khugepaged", "kcompactd"} {
		if strings.HasPrefix(comm, name) {
			return true
		}
	}
	return false
}

// program is the thread that an incident names, and what it did.
func (i *incident) program(o opinion) (Program, bool) {
	p := Program{Comm: evidence(i.death.Comm), PID: i.death.PID, Worker: worker(i.death.Comm)}
	if p.Comm == "" {
		return p, false
	}
	asked := ""
	switch {
	case i.has([]string{"__do_sys_msync", "__x64_sys_msync", "SyS_msync", "sys_msync"}):
		asked = " that it had asked for by msync"
	case i.has([]string{"ext4_sync_file", "do_fsync"}):
		asked = " that it had asked for by fsync"
	case strings.Contains(i.death.Work, "wb_workfn"):
		asked = ", as the flusher"
	}
	switch {
	case i.kind == kmsg.Bufferless:
		p.Did = "wrote the pages back, or asked for it"
	case i.kind == kmsg.Hung:
		p.Did = "hangs"
	case o.dirty || i.has(locking):
		p.Did = "released the pages"
	default:
		p.Did = "died in writeback" + asked
	}
	return p, true
}
