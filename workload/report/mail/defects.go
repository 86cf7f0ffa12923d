package mail

import (
	"fmt"
	"slices"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// What a mail can be of beside a verdict.
const (
	OfUnwoken      = "unwoken"       // nobody woke who waited for pages to be let go of
	OfArrivedWrong = "arrived-wrong" // bytes that a device brought are not those that were sent
)

// defect is what a run shows of the kernel and what is no matter of a file system: the run ends clean, or
// inconclusive, and yet somebody has to mend something.
type defect struct {
	of      string
	subject string
	own     section   // whose code it is
	others  []section // who wants to know
	symptom []string
	near    string // with which change it came, where that is known
}

// defectOf is that of a run, if it shows one.
func defectOf(r *record.Record) (defect, bool) {
	switch r.Verdict {
	case record.Clean:
		return unwoken(r)
	case record.Inconclusive:
		return arrivedWrong(r)
	}
	return defect{}, false
}

// tell has the mail be of a defect.
func (r *Report) tell(d defect) {
	r.Effect, r.Defect, r.Subject, r.Symptom, r.Unfixed = "", d.of, d.subject, d.symptom, d.near
	r.addressTo(d.own, d.others)
}

// waiters are the calls that a mutation makes.
var waiters = map[string]string{
	"punch": "fallocate(PUNCH_HOLE)", "zero-range": "fallocate(ZERO_RANGE)", "truncate": "truncate()", "reflink": "ioctl(FICLONE)",
}

// unwoken is that nobody wakes who waits for pages to be let go of.
func unwoken(r *record.Record) (defect, bool) {
	at := slices.IndexFunc(r.Phases, func(p record.Phase) bool { return p.Name == scenario.PhaseMutate && p.Unwoken })
	if at < 0 {
		return defect{}, false
	}
	call, known := waiters[r.Scenario.Mutation]
	if !known {
		call = text(r.Scenario.Mutation)
	}
	fs, a := prefix(r.Scenario.Filesystem), actorOfRun(r)
	d := defect{
		of: OfUnwoken, own: sectionDAX, others: []section{sectionOf(r.Scenario.Filesystem), sectionMM, sectionRest},
		subject: fmt.Sprintf("[BUG] dax: nobody wakes %s when %s lets go of its pages", call, withArticle(a.brings)),
		symptom: []string{
			fmt.Sprintf("On %s, with %s on persistent memory that is mapped directly (DAX), %s waits while %s has pages of the file, as it has to. When they are let go of, nobody wakes it: it goes on waiting until a signal has it look again.",
				text(r.Kernel), fs, call, withArticle(a.brings)),
			fmt.Sprintf("No byte is lost: %s.", reason(r)),
		},
	}
	if len(a.sections) > 0 {
		d.own, d.others = a.sections[0], append([]section{sectionDAX}, d.others...)
	}
	if d.own.name == sectionBlock.name && strings.HasPrefix(r.Kernel, "6.1.") {
		d.near = blockPutsAlone
	}
	return d, true
}

const blockPutsAlone = `it came to 6.1 in 6.1.76, with the backport of 1b151e2435fc, "block: Remove special-casing of compound pages": __bio_release_pages() lets go of pages by folio_put() since then, and now by folio_put_refs(), where it was put_page(). In 6.1 put_page() and unpin_user_page() go through put_devmap_managed_page_refs(), which wakes who waits (wake_up_var(&page->_refcount)), and folio_put() does not (read in Debian's source of 5.10.262, 6.1.187 and 6.12.107). Mainline lets go by unpin_user_page() since 6.5`

// arrivedWrong is that an RDMA device brought other bytes than were sent, over a connection that repeats
// what is lost.
func arrivedWrong(r *record.Record) (defect, bool) {
	c, o := r.Channels.Arrival, r.Settings
	if r.Scenario.Holder != "rdma" || c.CorruptBytes == 0 || o.Connection != "" && o.Connection != "RC" {
		return defect{}, false
	}
	driver, a := text(r.Device.Driver), actorOfRun(r)
	d := defect{of: OfArrivedWrong, own: sectionRDMA, others: []section{sectionRest}}
	region, first := "a memory region", ""
	if o.OnDemand {
		region = "a memory region that is paged on demand (IBV_ACCESS_ON_DEMAND)"
	}
	if c.FirstCorrupt != nil {
		first = fmt.Sprintf(", the first at byte %d of the region", *c.FirstCorrupt)
	}
	if driver == "rdma_rxe" {
		d.own, d.others = sectionRXE, []section{sectionRDMA, sectionRest}
	}
	d.subject = fmt.Sprintf("[BUG] %s: %s into memory", strings.Replace(driver, "rdma_rxe", "RDMA/rxe", 1), a.brings)
	if o.OnDemand {
		d.subject += " paged on demand"
	}
	d.subject += " brings wrong bytes"
	d.symptom = []string{
		fmt.Sprintf("On %s, what %s%s brings into %s of %s is not what was sent: %d bytes are others, in %d of the %s that were looked at in %s%s. All completions said that it had succeeded.",
			text(r.Kernel), withArticle(a.brings), ofBytes(o), region, driver, c.CorruptBytes, c.CorruptPages, count(c.CheckedPages, "page"), plural(c.Looks, "pass", "passes"), first),
		"The bytes were compared in memory when they had arrived, before anything else had to do with them.",
	}
	if c.DisplacedPages > 0 {
		d.symptom = append(d.symptom, fmt.Sprintf("Of these pages %d begin with bytes that belong further on in the same page.", c.DisplacedPages))
		if o.OnDemand && driver == "rdma_rxe" {
			d.near = rxeForgetsOffset
		}
	}
	return d, true
}

// rxeForgetsOffset is told of who begins pages with what belongs further on in them. Whether it is the cause of other wrong bytes, or the
// only one of these, a run does not show.
const rxeForgetsOffset = `that pages begin with what belongs further on is what 2fae67ab63db, "RDMA/rxe: Add support for Send/Recv/Write/Read with ODP" (6.15), is known to do: __rxe_odp_mr_copy() works out where in its page the address lies, and uses that for the length alone. memcpy() gets the beginning of the page, and for each page the beginning of the packet's bytes, as nothing is added to either address (read in mainline's source, and in the instructions of rdma_rxe.ko of 7.2.13)`

// ofBytes says how large the messages were, if they were not as large as usual.
func ofBytes(o record.Settings) string {
	line := ""
	if o.MessageBytes > 0 && o.MessageBytes != quickMessage {
		line += fmt.Sprintf(" of %d bytes", o.MessageBytes)
	}
	if o.Pieces > 1 {
		line += fmt.Sprintf(" in %d pieces", o.Pieces)
	}
	if o.MTU > 0 {
		line += fmt.Sprintf(" in packets of %d", o.MTU)
	}
	return line
}
