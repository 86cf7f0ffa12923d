package check

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

const noRDMARun = "no run with the holder rdma"

// deviceItems describes the RDMA devices and says whether a run can use one of
// them: a device that this version has a backend for, with an active port and
// access to its node.
func (h *host) deviceItems() (items []Item, usable bool) {
	devices, err := rdma.Devices(h.sys)
	if err != nil {
		return []Item{{Name: "device", State: Missing, Detail: err.Error(), Costs: noRDMARun,
			Remedy: "umemstress lab run brings its own device"}}, false
	}
	if len(devices) == 0 {
		return []Item{{Name: "device", State: Missing, Detail: "no RDMA device", Costs: noRDMARun,
			Remedy: h.deviceRemedy()}}, false
	}
	for _, d := range devices {
		state := h.deviceItem(d)
		node := h.nodeItem(d)
		items = append(items, state, node)
		usable = usable || nothingMissing(state, node)
	}
	return items, usable
}

// deviceRemedy says how to get a device here.
func (h *host) deviceRemedy() string {
	const guest = "umemstress lab run, whose guest has one"
	if !h.haveModule("rdma_rxe", "rdma_rxe") {
		return guest + " (this kernel has no module rdma_rxe for a soft-RoCE device)"
	}
	if !h.has(unix.CAP_NET_ADMIN) {
		return "umemstress soft-roce up, as root; or " + guest
	}
	return "umemstress soft-roce up; or " + guest
}

// haveModule says whether a module is loaded, built in, or among the kernel's
// files, where its name may be written otherwise.
func (h *host) haveModule(name, file string) bool {
	if h.loaded(name) {
		return true
	}
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		text, err := os.ReadFile(filepath.Join(h.modules, list))
		if err == nil && strings.Contains(string(text), "/"+file+".ko") {
			return true
		}
	}
	return false
}

// loaded says whether a module is there, loaded or built in and with parameters.
func (h *host) loaded(name string) bool {
	_, err := os.Stat(filepath.Join(h.sys, "module", name))
	return err == nil
}

func (h *host) deviceItem(d rdma.Device) Item {
	i := Item{Name: "device: " + d.Name, State: OK}
	parts := []string{"driver " + cmp.Or(d.Driver, "unknown")}
	netdevs := h.netdevs(d)
	if len(netdevs) > 0 {
		parts = append(parts, "netdev "+strings.Join(netdevs, ", "))
	}
	for _, p := range d.Ports {
		parts = append(parts, fmt.Sprintf("port %d %v (%s)", p.Number, p.State, p.LinkLayer))
	}
	i.Detail = strings.Join(parts, ", ")
	switch {
	case d.Err != nil:
		i.State, i.Costs = Missing, "no run with this device"
		i.Detail += "; " + strings.ReplaceAll(d.Err.Error(), "\n", "; ")
	case len(d.Ports) == 0:
		i.State, i.Costs, i.Remedy = Missing, "no run with this device: it shows no port", "look at the kernel's log"
	case !d.Active():
		i.State, i.Costs = Missing, "no run with this device: a port that is not ACTIVE carries nothing"
		i.Remedy = "a cable, and a subnet manager (apt-get install opensm)"
		if len(netdevs) > 0 && d.Ports[0].LinkLayer == "Ethernet" {
			i.Remedy = "ip link set " + netdevs[0] + " up, and a cable if it is a network card's"
		}
	default:
		h.through(d, &i)
	}
	return i
}

// through says how a run would reach the device, and whether it can.
func (h *host) through(d rdma.Device, i *Item) {
	backend, _ := rdma.AutoBackend.Choose(d)
	i.Detail += ", through " + string(backend)
	if backend != rdma.IBVerbs || h.library == nil {
		return
	}
	i.State, i.Detail = Missing, i.Detail+": "+h.library.Error()
	i.Costs = "no run with this device; the probes see its regions all the same"
	i.Remedy = "this, or umemstress soft-roce up --netdev DEV, which makes a soft-RoCE device beside it"
}

// netdevs are the device's, from the link or else from the GIDs.
func (h *host) netdevs(d rdma.Device) []string {
	if d.NetDev != "" {
		return []string{d.NetDev}
	}
	entries, err := os.ReadDir(filepath.Join(h.sys, "class/infiniband", d.Name, "device/net"))
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// nodeItem tries the device node, which costs nothing: a context is made only on
// request.
func (h *host) nodeItem(d rdma.Device) Item {
	i := Item{Name: "device: " + cmp.Or(d.Uverbs, d.Name+" node"), State: Missing, Costs: "no run with this device"}
	if d.Uverbs == "" {
		i.Detail, i.Remedy = "it has no verbs device", "modprobe ib_uverbs"
		return i
	}
	path := filepath.Join(h.dev, "infiniband", d.Uverbs)
	if err := h.open(path); err != nil {
		i.Detail = err.Error()
		i.Remedy = "give the user access to the node (udev group rdma), or run as root; in a container pass the node in"
		return i
	}
	return Item{Name: i.Name, State: OK, Detail: path + " opens"}
}
