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
	var sources []string
	if len(h.lab.Kept) > 0 {
		sources = append(sources, "in the cache: "+few(h.lab.Kept))
	}
	sources = append(sources, h.lab.Sources...)
	if len(sources) == 0 {
		return Item{Name: "lab: kernels", State: Warning, Detail: "none in the cache, and no apt-get, dpkg-deb and depmod to fetch one",
			Costs: "the lab runs kernels of yours only", Remedy: "--kernel VMLINUZ --modules DIR; or a Debian host with apt, dpkg and kmod"}
	}
	return Item{Name: "lab: kernels", State: OK, Detail: strings.Join(sources, "; ")}
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
