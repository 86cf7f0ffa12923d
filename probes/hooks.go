package probes

import (
	"slices"

	"github.com/cilium/ebpf/btf"

	"umemstress/probes/event"
)

// A hook is one thing that the probes must see happen. Which function it
// happens in depends on the kernel, so a hook lists sites; the first one that
// can be attached is taken.
type hook struct {
	purpose string
	// module holds the sites' functions, unless it is built into the kernel.
	// Empty: the kernel itself does.
	module string
	// without says what is lost when no site can be attached. A session with
	// a hook missing would see nothing, so there is none.
	without string
	sites   []site
}

// A site is a kernel function and the programs that suit its arguments. An
// entry program is named for each kind of attachment; a program at the return
// only where the hook needs one.
type site struct {
	symbol  string
	kernels string // in which the function exists, for the reader; attaching decides
	takes   string // the struct that its program reads, if not every kernel has it
	module  string // in which the function is, if not in the hook's
	without string // what is not seen here, though it would be at the sites before

	fentry, fexit     string // direct calls through a BPF trampoline; need the function's BTF
	kprobe, kretprobe string // kprobe-multi and perf kprobes alike
}

// releaseSite is a site at which a release is entered and left.
func releaseSite(symbol, kernels, program string) site {
	return site{
		symbol: symbol, kernels: kernels,
		fentry: program + "_enter_fentry", fexit: program + "_leave_fexit",
		kprobe: program + "_enter_kprobe", kretprobe: "release_leave_kprobe",
	}
}

// A table is what sessions can attach to, and how. Attach uses the stock one.
type table struct {
	// releases has the hook of each holder: where it lets go of its pages. One of
	// them makes a session. They are not watched together, since they nest (up to
	// 5.12 the release of a umem calls unpin_user_pages_dirty_lock for each page),
	// and a page would be counted for the wrong one.
	releases map[string]hook
	// dirtied is the funnel that every page of every file system passes. Releases
	// call it under the page's lock, so that page and file are at rest.
	dirtied hook
	// methods returns those for functions, in the order in which they are tried.
	methods func(preemption, func() (*btf.Spec, error)) []Method
}

func stock() table {
	return table{releases: stockReleases(), dirtied: stockDirtied(), methods: methods}
}

func stockReleases() map[string]hook {
	return map[string]hook{
		event.HolderUmem: {
			purpose: "release of a umem",
			module:  "ib_uverbs",
			without: "no page can be told to have been dirtied by the release of an RDMA region",
			sites: []site{
				releaseSite("ib_umem_release", "all", "umem"),
				// Called by ib_umem_release, and the part of it that unpins.
				releaseSite("__ib_umem_release", "all, where not inlined", "umem"),
			},
		},
		// With more than one bio, or without waiting, bio_dirty_fn releases the
		// pages in a worker of the kernel, once its turn comes.
		event.HolderDIO: {
			purpose: "release of a direct read's pages",
			without: "no page can be told to have been dirtied by a direct read into a mapping",
			sites: []site{
				releaseSite("__bio_release_pages", "6.1 and newer; 5.10 has none", "bio"),
				// What gcc split off, and calls from within the file without the
				// rest. It has no BTF.
				releaseSite("bio_release_pages.part.0", "5.10, as gcc 10 builds it", "bio"),
				releaseSite("bio_release_pages", "5.10, where it is whole", "bio"),
			},
		},
		// It is called for others, too, who pin and dirty pages in the same way.
		event.HolderVMWritev: {
			purpose: "release of the pages that process_vm_writev wrote to",
			without: "no page can be told to have been dirtied by process_vm_writev",
			sites: []site{
				releaseSite("unpin_user_pages_dirty_lock", "5.6 and newer", "unpin"),
			},
		},
	}
}

// dirtiedPurpose tells the funnel from the releases.
const dirtiedPurpose = "page dirtied"

func stockDirtied() hook {
	return hook{
		purpose: dirtiedPurpose,
		without: "no page is seen to be dirtied",
		sites: []site{
			{
				symbol: "folio_mark_dirty", kernels: "5.16 and newer", takes: "folio",
				fentry: "dirty_folio_fentry", kprobe: "dirty_folio_kprobe",
			},
			{
				symbol: "set_page_dirty", kernels: "up to 5.15; after that it misses what calls folio_mark_dirty",
				fentry: "dirty_page_fentry", kprobe: "dirty_page_kprobe",
			},
			{
				symbol: "ext4_dirty_folio", kernels: "5.18 and newer", takes: "folio", module: "ext4", without: withoutFunnel,
				fentry: "ext4_folio_fentry", kprobe: "ext4_folio_kprobe",
			},
			{
				symbol: "ext4_set_page_dirty", kernels: "4.10 to 5.17", module: "ext4", without: withoutFunnel,
				fentry: "dirty_page_fentry", kprobe: "dirty_page_kprobe",
			},
		},
	}
}

const withoutFunnel = "only pages of ext4 are seen, none of its files with data=journal, and none detached from its file"

// hooksFor returns what a session that watches the holder attaches.
func (t table) hooksFor(holder string) []hook { return []hook{t.releases[holder], t.dirtied} }

// Holders lists what [Options] may name as Holder.
func Holders() []string {
	return []string{event.HolderUmem, event.HolderDIO, event.HolderVMWritev}
}

func knownHolder(holder string) bool { return slices.Contains(Holders(), holder) }

// abandoned ends a release whose task died in it. Without it the release stays
// open, and a later task with the same thread id could be taken for it.
const (
	abandonedPurpose    = "death of a task in a release"
	abandonedProgram    = "release_abandoned"
	abandonedTracepoint = "sched_process_exit"
	abandonedWithout    = "the last run of a release whose task dies in it is not counted"
)
