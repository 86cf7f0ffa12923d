package matrix

import (
	"strings"

	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload/filesystem"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Telling leaves out the cells that another of the same kernel, or of one like it, tells of:
//
//   - refused: the kernel refuses the pin before anything is stripped or mutated, so the first
//     scenario of a holder and a file system speaks for the others;
//   - crashed: the kernel dies at the next writeback of pages without buffers, whatever took those, so
//     the first scenario of a holder and a file system speaks for the others;
//   - inconclusive where folios are asked for: the file system has none of that kind on this
//     kernel, and the first scenario that asks speaks for the others;
//   - what takes the buffers, or the pages from the file, takes them whoever has pinned them: of the strips
//     but pageout, and of the mutations but reflink, the first holder on a file system speaks for those
//     with which they end in the same;
//   - what a kernel does as the one whose source it has, but for a fix or for who packed it;
//   - what a kernel does as the one before it and as the one after it;
//   - what a kernel does on a file system as on the one whose code writes its pages in the same way, or, where
//     there is no page cache that anything could be written from, as on the first of those.
//
// Those that are marked quick stay. The order does, too.
func Telling(expectations []Expectation) []Expectation {
	verdicts := map[[2]string]string{}
	for _, e := range expectations {
		verdicts[[2]string{e.Kernel, e.Scenario}] = e.Verdict
	}
	as := func(e Expectation, kernel string) bool { return verdicts[[2]string{kernel, e.Scenario}] == e.Verdict }
	told := map[string]bool{}
	var telling []Expectation
	for _, e := range expectations {
		group := e.group()
		older, newer := kernels.Neighbours(e.Kernel)
		elsewhere := as(e, kernels.Like(e.Kernel)) || as(e, older) && as(e, newer) ||
			verdicts[[2]string{e.Kernel, e.likeElsewhere()}] == e.Verdict
		if e.Quick || !told[group] && !elsewhere {
			telling = append(telling, e)
		}
		if group != "" {
			told[group] = true
		}
	}
	return telling
}

// likeElsewhere is the scenario on the file system that tells of this one's; empty: there is none.
func (e Expectation) likeElsewhere() string {
	part := strings.Split(e.Scenario, "/")
	kind, _ := scenario.Find(filesystem.Kinds(), part[1])
	like := kind.WrittenAs
	if kind.Backing == scenario.OnPmem {
		like = firstOnPmem()
	}
	if like == "" || like == part[1] {
		return ""
	}
	part[1] = like
	return strings.Join(part, "/")
}

// firstOnPmem is the first of the file systems that have no page cache.
func firstOnPmem() string {
	for _, kind := range filesystem.Kinds() {
		if kind.Backing == scenario.OnPmem {
			return kind.Name
		}
	}
	return ""
}

// group is the same of cells that end in their verdict for one reason, whatever the rest of
// the scenario; empty: for a reason of its own.
func (e Expectation) group() string {
	const folios = 4
	part := strings.Split(e.Scenario, "/")
	strip, mutation := part[2], part[3]
	key := []string{e.Kernel, e.Verdict, part[0], part[1]}
	switch {
	case e.Verdict == string(record.Refused), e.Verdict == string(record.Crashed):
	case e.Verdict == string(record.Inconclusive) && len(part) > folios:
		key = append(key, part[folios])
	case strip != "none" && strip != "pageout", mutation != "none" && mutation != "reflink":
		key = append([]string{e.Kernel, e.Verdict, e.Pages}, part[1:]...)
	default:
		return ""
	}
	return strings.Join(key, "/")
}
