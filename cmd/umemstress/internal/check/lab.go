package check

import (
	"strings"

	"umemstress/soft-roce/lab/machine"
)

const noLab = "no lab"

// labItems are the things without which no guest starts.
func (h *host) labItems() []Item {
	var items []Item
	for _, need := range h.lab.Needs {
		i := Item{Name: "lab: " + need.Program, State: OK, Detail: "installed"}
		if need.Missing {
			i = Item{Name: i.Name, State: Missing, Detail: "not installed", Costs: noLab,
				Remedy: "apt-get install " + need.Package}
		}
		items = append(items, i)
	}
	cache := Item{Name: "lab: cache", State: OK, Detail: h.lab.Cache}
	if err := h.lab.CacheErr; err != nil {
		cache = Item{Name: cache.Name, State: Missing, Detail: err.Error(), Costs: noLab,
			Remedy: "set XDG_CACHE_HOME to a directory that this user can write"}
	}
	return append(items, cache)
}

// kernelSourceItem says where the lab's kernels can come from. One given with
// --kernel and --modules needs no source.
func (h *host) kernelSourceItem() Item {
	i := Item{Name: "lab: kernels", State: OK}
	var have []string
	if len(h.lab.Kept) > 0 {
		have = append(have, "in the cache: "+few(h.lab.Kept))
	}
	if i.Detail = strings.Join(append(have, h.lab.Sources...), "; "); len(h.lab.Sources) > 0 {
		return i
	}
	i.State, i.Costs = Warning, "the lab runs these and kernels of yours only"
	if len(have) == 0 {
		i.Detail, i.Costs = "none in the cache", "the lab runs kernels of yours only"
	}
	i.Detail += "; no others can be fetched: that takes a mirror of Debian in apt's sources, and apt-get, dpkg-deb, depmod and debian-archive-keyring"
	i.Remedy = "--kernel VMLINUZ --modules DIR; or a Debian host with apt, dpkg and kmod"
	return i
}

// kvmItem says what the guests would run on. Only a trial with the first guest
// shows whether KVM works.
func (h *host) kvmItem() Item {
	if lack := h.lab.Emulated; lack != nil {
		return Item{Name: "lab: KVM", State: Warning, Detail: lack.Reason, Remedy: lack.Remedy,
			Costs: "guests run in software emulation: slower, same results"}
	}
	return Item{Name: "lab: KVM", State: OK, Detail: "the CPU has it and " + machine.KVMDevice + " opens; the first guest tries it"}
}
