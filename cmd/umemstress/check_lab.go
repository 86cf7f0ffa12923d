package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/kernels"
)

const noLab = "no lab"

// labItems are the things without which no guest starts.
func (h *host) labItems() []item {
	var items []item
	for _, tool := range lab.Tools() {
		i := item{Name: "lab: " + string(tool), State: stateOK, Detail: "installed"}
		if !h.haveProgram(string(tool)) {
			i = item{Name: i.Name, State: stateMissing, Detail: "not installed", Costs: noLab,
				Remedy: "apt-get install " + tool.Package()}
		}
		items = append(items, i)
	}
	return append(items, h.cacheItem())
}

// cacheItem says whether the lab can write where it keeps kernels and disks.
func (h *host) cacheItem() item {
	i := item{Name: "lab: cache", State: stateMissing, Costs: noLab,
		Remedy: "set XDG_CACHE_HOME to a directory that this user can write"}
	if h.cache == "" {
		i.Detail = "neither XDG_CACHE_HOME nor HOME is set"
		return i
	}
	// What does not exist yet will be made below the first directory that does.
	dir := h.cache
	for dir != filepath.Dir(dir) {
		if err := h.access(dir, unix.F_OK); err != unix.ENOENT {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err := h.access(dir, unix.W_OK|unix.X_OK); err != nil {
		i.Detail = fmt.Sprintf("%s: %v", dir, err)
		return i
	}
	return item{Name: i.Name, State: stateOK, Detail: h.cache}
}

// kernelSourceItem says where the lab's kernels can come from. One given with
// --kernel and --modules needs no source.
func (h *host) kernelSourceItem() item {
	var sources []string
	if h.cache != "" {
		if kept, err := kernels.Kept(h.cache); err == nil && len(kept) > 0 {
			sources = append(sources, "in the cache: "+few(kept))
		}
	}
	unpacks := true
	for _, tool := range kernels.UnpackTools() {
		unpacks = unpacks && h.haveProgram(string(tool))
	}
	if h.packages != "" && unpacks {
		sources = append(sources, "package files in $"+kernels.PackageDirEnv)
	}
	if h.haveProgram(string(kernels.MirrorTool)) && unpacks {
		sources = append(sources, "the mirror of this machine's apt")
	}
	i := item{Name: "lab: kernels", State: stateOK, Detail: strings.Join(sources, "; ")}
	if len(sources) == 0 {
		i = item{Name: i.Name, State: stateWarning, Detail: "none in the cache, and no apt-get, dpkg-deb and depmod to fetch one",
			Costs: "the lab runs kernels of yours only", Remedy: "--kernel VMLINUZ --modules DIR; or a Debian host with apt, dpkg and kmod"}
	}
	return i
}

// kvmItem says what the guests would run on. Only a trial with the first guest
// shows whether KVM works.
func (h *host) kvmItem() item {
	i := item{Name: "lab: KVM", State: stateWarning, Costs: "guests run in software emulation: slower, same results"}
	cpuinfo, err := os.ReadFile(filepath.Join(h.proc, "cpuinfo"))
	if err != nil {
		i.Detail = err.Error()
		return i
	}
	flags := strings.Fields(string(cpuinfo))
	if !slices.Contains(flags, "vmx") && !slices.Contains(flags, "svm") {
		i.Detail, i.Remedy = "the CPU has neither vmx nor svm", "virtualization in the firmware, or nested virtualization"
		return i
	}
	if err := h.open(filepath.Join(h.dev, "kvm")); err != nil {
		i.Detail, i.Remedy = err.Error(), "modprobe kvm_intel or kvm_amd, and the group kvm for this user"
		return i
	}
	return item{Name: i.Name, State: stateOK, Detail: "the CPU has it and /dev/kvm opens; the first guest tries it"}
}
