package check

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/probes"
)

// featureItems describes what the kernel gives the probes, and says whether it is
// enough.
func (h *host) featureItems() (items []Item, suffice bool) {
	attaches := probes.CanAttach(h.features)
	for _, f := range h.features {
		items = append(items, h.featureItem(f, attaches))
	}
	return items, probes.Suffice(h.features)
}

// featureItem describes one feature. Where the probes can attach in another way,
// the lack of one is a warning, and that of kprobe-multi not even this.
func (h *host) featureItem(f probes.Feature, attaches bool) Item {
	i := Item{Name: "probes: " + f.Name, State: OK, Detail: "available"}
	if f.Available {
		return i
	}
	i.State, i.Detail, i.Costs = Missing, f.Reason, f.Without
	switch probes.Method(f.Name) {
	case probes.KprobeMulti:
		if attaches {
			return Item{Name: i.Name, State: OK, Detail: "not here and not needed: " + f.Reason}
		}
		i.Costs = "no probes"
	case probes.Fentry, probes.Kprobe:
		i.Costs = "no probes"
		if attaches {
			i.State, i.Costs = Warning, f.Without
		}
	}
	i.Remedy = f.Remedy
	if f.Denied && !(h.has(unix.CAP_BPF) && h.has(unix.CAP_PERFMON)) {
		i.Remedy = probes.RemedyDenied
	}
	return i
}

// hookItem says whether the function that releases RDMA regions is in the kernel.
// What direct reads and process_vm_writev release their pages with always is.
func (h *host) hookItem() Item {
	i := Item{Name: "probes: targets", State: OK, Detail: "ib_uverbs is in the kernel"}
	if _, err := os.Stat(filepath.Join(h.sys, "class/infiniband_verbs")); err != nil {
		i.State, i.Detail = Missing, "not loaded: ib_uverbs"
		i.Costs = "the release of RDMA regions cannot be watched; that of direct reads and process_vm_writev can"
		i.Remedy = "modprobe ib_uverbs as root, or umemstress lab run"
	}
	return i
}
