package triage

import (
	"fmt"
	"slices"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/record"
	"umemstress/workload/remedy"
)

// answer makes a diagnosis of what was kept.
func (r *reader) answer(cutOff bool) *Diagnosis {
	r.corroborate()
	d := &Diagnosis{Schema: Schema, Sure: Nothing, Log: r.log, Devices: r.devices}
	d.Findings, d.Others = findings(r.ours), findings(r.others)
	switch {
	case len(r.ours) > 0:
		r.ofThisBug(d)
	case len(r.others) > 0:
		d.Sure = Other
		d.Why = r.others[0].says + ": " + r.others[0].where()
	case r.suppressed > 0 && r.warnings == 0:
		d.Sure = Possible
		d.Why = fmt.Sprintf("the rate limit swallowed %d warnings of ext4, of which none is left to read", r.suppressed)
		d.Now = now(d, remedy.Trouble{Filesystem: "ext4", Kernel: remedy.ParseKernel(r.kernel.release, r.kernel.version)})
	case r.log.Kernel == 0:
		d.Why = "no line of it is one of a kernel's log"
	default:
		d.Why = "no line of it is a sign of this bug or of another; that proves nothing, since the kernel warns of this one once a boot and is rate-limited"
	}
	if d.Kernel == "" {
		d.Kernel = kernelLine(&r.kernel)
	}
	r.doubt(d, cutOff)
	return d
}

// corroborate makes more of findings that support each other: who dies in a BUG of ext4's
// writeback after pages had been dirtied without buffers, dies of those.
func (r *reader) corroborate() {
	for _, j := range r.ours { // the machine may have died of it afterwards
		j.opinion = r.signs.judge(j.incident)
	}
	for _, j := range r.ours {
		if j.sure != Likely || !j.bugOn {
			continue
		}
		for _, k := range r.ours {
			if k.dirty && k.sure == Certain && k.boot == j.boot {
				j.sure = Certain
				j.says = "a thread died in a BUG of ext4's writeback, after pages without buffers had been marked dirty"
				break
			}
		}
	}
	slices.SortStableFunc(r.ours, func(a, b *judged) int { return a.sure.rank() - b.sure.rank() })
}

// ofThisBug says what the findings of this bug come to.
func (r *reader) ofThisBug(d *Diagnosis) {
	best := r.ours[0]
	d.Sure = best.sure
	if d.Sure.rank() <= Likely.rank() {
		for _, j := range r.ours {
			if j.sure.rank() <= Likely.rank() && worse(j.effect, d.Effect) {
				d.Effect, best = j.effect, j
			}
		}
		d.Sure = best.sure
	}
	d.Why = best.says
	d.Kernel = kernelLine(best.incident)
	for _, j := range append([]*judged{best}, r.ours...) {
		if d.Filesystem = j.fs; d.Filesystem != "" {
			break
		}
	}
	d.Holder = holderOf(r.ours)
	for _, j := range r.ours {
		if p, named := j.program(j.opinion); named && !slices.Contains(d.Programs, p) && len(d.Programs) < maxPrograms {
			d.Programs = append(d.Programs, p)
		}
	}
	t := remedy.Trouble{Effect: d.Effect, Filesystem: d.Filesystem, Kernel: remedy.ParseKernel(best.release, best.version)}
	if best.release == "" {
		t.Kernel = remedy.ParseKernel(r.kernel.release, r.kernel.version)
	}
	if d.Holder != nil {
		t.Holder = d.Holder.Name
	}
	for _, j := range r.ours {
		t.BugOn = t.BugOn || j.bugOn && j.sure.rank() <= Likely.rank()
		t.Panicked = t.Panicked || j.death.Panicked
		t.OfWarning = t.OfWarning || j.death.Panicked && j.head.Kind == kmsg.Warning
	}
	d.Now = now(d, t)
}

// now is what to do.
func now(d *Diagnosis, t remedy.Trouble) *remedy.Now {
	t.Guessed = d.Holder == nil || d.Holder.Sure != Certain
	n := remedy.For(t)
	return &n
}

// worse says whether a is a worse effect than b.
func worse(a, b record.Verdict) bool {
	order := []record.Verdict{record.Exposed, record.Reproduced, record.DataLost, record.Corrupted, record.Crashed}
	return slices.Index(order, a) > slices.Index(order, b)
}

func findings(all []*judged) []Finding {
	var found []Finding
	for _, j := range all {
		found = append(found, Finding{Kind: string(j.kind), Sure: j.sure, Effect: j.effect, Says: j.says, Where: j.where(), Count: j.count, Lines: j.lines})
	}
	return found
}

func kernelLine(i *incident) string {
	return evidence(strings.TrimSpace(i.release + " " + i.version))
}

// doubt says what the log may have left out.
func (r *reader) doubt(d *Diagnosis, cutOff bool) {
	add := func(format string, args ...any) { d.Doubts = append(d.Doubts, fmt.Sprintf(format, args...)) }
	if r.suppressed > 0 && d.Sure.rank() <= Possible.rank() {
		add("the rate limit swallowed %d warnings of ext4: what it threw away is not all here; /sys/fs/ext4/DEVICE/warning_count has the number", r.suppressed)
	}
	if cutOff && len(r.ours) > 0 {
		add("the log ends within a trace")
	}
	if d.Log.Cut > 0 {
		add("%d lines are longer than %d KiB, which none of a kernel is, and were not read to their end", d.Log.Cut, maxLine>>10)
	}
	if d.Log.Boots > 1 {
		add("the log is of %d boots", d.Log.Boots)
	}
	if r.more > 0 {
		add("%d more findings of this bug are not shown", r.more)
	}
	if r.moreOthers > 0 {
		add("%d more of other bugs are not shown", r.moreOthers)
	}
	if len(r.ours) > 0 && len(r.others) > 0 {
		add("the log tells of other bugs, too")
	}
	if d.Kernel == "" && d.Sure.rank() <= Possible.rank() {
		add("no line tells of which kernel it is")
	}
}
