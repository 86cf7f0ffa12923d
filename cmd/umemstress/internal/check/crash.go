package main

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	unlessAllowed = ": a run stops with exit code 3 unless --allow-crash is given"
	inGuest       = "umemstress lab run, where only a guest dies"
)

// panicItems tell what turns a reproduction into a crash.
func (h *host) panicItems() []item {
	var items []item
	for _, sysctl := range []struct{ name, effect string }{
		{"panic_on_warn", "the warning that a buffer-less page causes panics this machine"},
		{"panic_on_oops", "an oops panics this machine"},
	} {
		i := item{Name: sysctl.name, State: stateOK, Detail: "off"}
		value, err := os.ReadFile(filepath.Join(h.proc, "sys/kernel", sysctl.name))
		switch {
		case err != nil:
			i.State, i.Detail = stateWarning, err.Error()
			i.Costs = "a run may panic this machine"
			i.Remedy = inGuest
		case strings.TrimSpace(string(value)) != "0":
			i.State, i.Detail = stateWarning, "on"
			i.Costs = sysctl.effect + unlessAllowed
			i.Remedy = inGuest + ", or sysctl kernel." + sysctl.name + "=0 for the time of the run"
		}
		items = append(items, i)
	}
	return append(items, h.survivalItem())
}

// survivalItem says whether a run can find out if this ext4 has a BUG_ON, which
// it reads from the kernel's memory. Looking is left to the run.
func (h *host) survivalItem() item {
	if err := h.openToRead(filepath.Join(h.proc, "kcore")); err != nil {
		remedy := remedyRoot
		if h.uid == 0 {
			remedy = "a kernel with CONFIG_PROC_KCORE, not in lockdown"
		}
		return item{Name: "BUG_ON", State: stateWarning, Detail: "whether ext4 has one for a page without buffers cannot be read: " + err.Error(),
			Costs: "a run may panic this machine" + unlessAllowed, Remedy: inGuest + "; or " + remedy}
	}
	return item{Name: "BUG_ON", State: stateOK, Detail: "a run can read whether ext4 has one for a page without buffers, and stops if so"}
}

// kmsgItem says whether a run can read the kernel's log, one of its witnesses.
func (h *host) kmsgItem() item {
	if err := h.openToRead(filepath.Join(h.dev, "kmsg")); err != nil {
		return item{Name: "kernel log", State: stateWarning, Detail: err.Error(),
			Costs: "a run has one witness less, the channel kmsg", Remedy: remedyRoot + ", or with CAP_SYSLOG; or sysctl kernel.dmesg_restrict=0"}
	}
	return item{Name: "kernel log", State: stateOK, Detail: "can be read"}
}
