package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/probes"
)

// featureRemedies say how to get what the probes need, where it is not privilege
// that is missing.
var featureRemedies = map[string]string{
	"btf":                      "a kernel with CONFIG_DEBUG_INFO_BTF",
	"ring-buffer":              "Linux 5.8 or newer",
	string(probes.Fentry):      "a kernel with BTF and CONFIG_FUNCTION_TRACER, not in lockdown",
	string(probes.KprobeMulti): "Linux 5.18 or newer with CONFIG_FPROBE",
	string(probes.Kprobe):      "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS",
}

const remedyProbes = "run it as root or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE (before Linux 5.8: CAP_SYS_ADMIN)"

// featureItems describes what the kernel gives the probes, and says whether it is
// enough: types, a ring, and one way to attach.
func (h *host) featureItems() (items []item, suffice bool) {
	available := map[string]bool{}
	for _, f := range h.features {
		available[f.Name] = f.Available
	}
	attaches := available[string(probes.Fentry)] || available[string(probes.KprobeMulti)] || available[string(probes.Kprobe)]
	for _, f := range h.features {
		items = append(items, h.featureItem(f, attaches))
	}
	return items, available["btf"] && available["ring-buffer"] && attaches
}

// featureItem describes one feature. Where the probes can attach in another way,
// the lack of one is a warning, and that of kprobe-multi not even this.
func (h *host) featureItem(f probes.Feature, attaches bool) item {
	i := item{Name: "probes: " + f.Name, State: stateOK, Detail: "available"}
	if f.Available {
		return i
	}
	i.State, i.Detail, i.Costs = stateMissing, f.Reason, f.Without
	switch probes.Method(f.Name) {
	case probes.KprobeMulti:
		if attaches {
			return item{Name: i.Name, State: stateOK, Detail: "not here and not needed: " + f.Reason}
		}
		i.Costs = "no probes"
	case probes.Fentry, probes.Kprobe:
		i.Costs = "no probes"
		if attaches {
			i.State, i.Costs = stateWarning, f.Without
		}
	}
	i.Remedy = featureRemedies[f.Name]
	if strings.HasPrefix(f.Reason, "not permitted") && !(h.has(unix.CAP_BPF) && h.has(unix.CAP_PERFMON)) {
		i.Remedy = remedyProbes
	}
	return i
}

// hookItem says whether the function that releases RDMA regions is in the kernel.
// What direct reads and process_vm_writev release their pages with always is.
func (h *host) hookItem() item {
	i := item{Name: "probes: targets", State: stateOK, Detail: "ib_uverbs is in the kernel"}
	if _, err := os.Stat(filepath.Join(h.sys, "class/infiniband_verbs")); err != nil {
		i.State, i.Detail = stateMissing, "not loaded: ib_uverbs"
		i.Costs = "the release of RDMA regions cannot be watched; that of direct reads and process_vm_writev can"
		i.Remedy = "modprobe ib_uverbs as root, or umemstress lab run"
	}
	return i
}
