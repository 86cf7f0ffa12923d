package triage

import (
	"fmt"
	"slices"
	"strings"

	"umemstress/workload/remedy"
)

// holder names who released the pages, by the trace; "" if it does not tell.
func (i *incident) holder() string {
	functions := i.functions()
	for _, h := range remedy.Holders() {
		if slices.ContainsFunc(functions, func(f string) bool { return slices.Contains(h.Releases, f) }) {
			return h.Name
		}
	}
	return ""
}

// holderOf says who kept the pages pinned, of all incidents of this bug: by the trace of a
// release, or, less surely, by what is loaded.
func holderOf(ours []*judged) *Holder {
	for _, j := range ours {
		name := j.holder()
		for _, h := range remedy.Holders() {
			if h.Name != name {
				continue
			}
			for _, f := range j.functions() {
				if slices.Contains(h.Releases, f) {
					return &Holder{Name: name, Sure: Certain, Why: fmt.Sprintf("%s, by %s in the trace of the release", h.What, f)}
				}
			}
		}
	}
	for _, j := range ours {
		for _, m := range strings.Fields(j.modules) {
			if name, _, _ := strings.Cut(m, "("); name == "ib_uverbs" { // with its flags, such as (OE)
				return &Holder{Name: "rdma", Sure: Possible, Why: "ib_uverbs is loaded, so programs can register memory with an RDMA device; no line tells of a release"}
			}
		}
	}
	return nil
}
