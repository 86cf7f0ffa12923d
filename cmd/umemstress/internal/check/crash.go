package check

import (
	"path/filepath"

	"umemstress/workload/danger"
)

const (
	unlessAllowed = ": a run stops with exit code 3 unless --allow-crash is given"
	inGuest       = "umemstress lab run, where only a guest dies"
)

// dangerItems tell what turns a reproduction into a crash of this machine.
func (h *host) dangerItems() []Item {
	var items []Item
	for _, d := range h.dangers {
		i := Item{Name: d.Name, State: OK, Detail: "off"}
		if d.Real() {
			i = Item{Name: d.Name, State: Warning, Detail: d.String(), Costs: "a run may panic this machine" + unlessAllowed, Remedy: inGuest}
		}
		switch {
		case d.Name == danger.DirtyLimit && !d.Real():
			i.Detail = "fewer than the kernel allows"
		case d.Name == danger.DirtyLimit && d.Present:
			i.Costs, i.Remedy = "a run is refused, and writers crawl or stand still", "write back what is dirty with sync; where they stay as many, reboot, or raise vm.dirty_ratio until then"
		case d.Name == danger.BugOn && !d.Real():
			i.Detail = "this ext4 survives a page without buffers"
		case d.Name == danger.BugOn && d.Unknown != nil && h.uid != 0:
			i.Remedy += "; or " + remedyRoot
		case d.Present && d.Name != danger.BugOn:
			i.Remedy += ", or sysctl kernel." + d.Name + "=0 for the time of the run"
		}
		items = append(items, i)
	}
	return items
}

// kmsgItem says whether a run can read the kernel's log, one of its witnesses.
func (h *host) kmsgItem() Item {
	if err := h.openToRead(filepath.Join(h.dev, "kmsg")); err != nil {
		return Item{Name: "kernel log", State: Warning, Detail: err.Error(),
			Costs: "a run has one witness less, the channel kmsg", Remedy: h.asRoot("in a container, pass the node in") + ", or with CAP_SYSLOG; or sysctl kernel.dmesg_restrict=0"}
	}
	return Item{Name: "kernel log", State: OK, Detail: "can be read"}
}
