package probes

import (
	"os"
	"slices"
	"strings"

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
	// without says what is lost when no site can be attached.
	without string
	sites   []site
	kind    event.Kind // that it is for; "": for all
	// optional hooks tell more; of the others, one that is missing would make a session
	// that sees nothing.
	optional bool
	// here tells whether this machine can come to what the hook is for, as it is when a session begins; nil: it can.
	// Where it cannot, an optional hook is left out, and not waited for.
	here func() bool
	// later has the kernel attach an optional hook when it loads the module.
	later bool
	// loses says where calls are counted that its programs missed; nil: as releases.
	loses func(*event.Lost) *uint64
}

// A site is a kernel function and the programs that suit its arguments, at its entry and
// at its return, by way of attaching. A way that has none of them is not tried.
type site struct {
	symbol  string
	kernels string // in which the function exists, for the reader; attaching decides
	takes   string // a struct that its program reads or its helpers came with, if not every kernel has it
	module  string // in which the function is, if not in the hook's
	without string // what is not seen here, though it would be at the sites before
	// unless names a function: in a kernel that has none of that name, the release of a umem
	// calls this site's for each page, and a session that watches both takes another site.
	unless string
	also   *site // where more programs are attached, in the same way
	// parameters are how many the function has to have at least, by the types of its module: in other
	// kernels it has fewer.
	parameters int

	fentry, fexit     string // direct calls through a BPF trampoline; need the function's BTF
	kprobe, kretprobe string // kprobe-multi and perf kprobes alike
}

// callSite is a site at which a call is entered and left.
func callSite(symbol, kernels, program string) site {
	return site{
		symbol: symbol, kernels: kernels,
		fentry: program + "_enter_fentry", fexit: program + "_leave_fexit",
		kprobe: program + "_enter_kprobe", kretprobe: program + "_leave_kprobe",
	}
}

// A table is what sessions can attach to, and how. Attach uses the stock one.
type table struct {
	// releases has the hook of each holder: where it lets go of its pages. They nest (up to
	// 5.12 the release of a umem calls unpin_user_pages_dirty_lock for each page), and the
	// outermost one has the pages.
	releases map[string]hook
	// others has, by holder, where else pages of its kind are let go of, by a driver of its own way.
	others map[string]hook
	// dirtied is the funnel that every page of every file system passes. Releases
	// call it under the page's lock, so that page and file are at rest.
	dirtied hook
	// submitted has, by holder, where a direct read begins that another task may complete.
	submitted map[string]hook
	// pinned has, by holder, where one pins that is not RDMA, but keeps its pages as long.
	pinned map[string]hook
	// kinds has the hooks of what else is told of, beside the releases.
	kinds map[event.Kind][]hook
	// methods returns those for functions, in the order in which they are tried.
	methods func(preemption, func() (*btf.Spec, error)) []Method
}

func stock() table {
	return table{
		releases: stockReleases(), others: stockOthers(), dirtied: stockDirtied(), submitted: stockSubmitted(), pinned: stockPinned(), kinds: stockKinds(),
		methods: methods,
	}
}

func stockReleases() map[string]hook {
	return map[string]hook{
		event.HolderUmem: {
			purpose: "release of a umem",
			module:  "ib_uverbs",
			without: "no page can be told to have been dirtied by the release of an RDMA region",
			sites: []site{
				callSite("ib_umem_release", "all", "umem"),
				// Called by ib_umem_release, and the part of it that unpins.
				callSite("__ib_umem_release", "all, where not inlined", "umem"),
			},
		},
		// With more than one bio, or without waiting, bio_dirty_fn releases the
		// pages in a worker of the kernel, once its turn comes.
		event.HolderDIO: {
			purpose: "release of a direct read's pages",
			without: "no page can be told to have been dirtied by a direct read into a mapping",
			sites: []site{
				callSite("__bio_release_pages", "6.1 and newer; 5.10 has none", "bio"),
				// What gcc split off, and calls from within the file without the
				// rest. It has no BTF.
				callSite("bio_release_pages.part.0", "5.10, as gcc 10 builds it", "bio"),
				callSite("bio_release_pages", "5.10, where it is whole", "bio"),
			},
		},
		// The first is called for others, too, who pin and dirty pages in the same way.
		event.HolderVMWritev: {
			purpose: "release of the pages that process_vm_writev wrote to",
			without: "no page can be told to have been dirtied by process_vm_writev",
			sites: []site{
				unpinSite(),
				vmwritevSite(),
			},
		},
		event.HolderVMCI: {
			purpose: "release of a VMCI queue pair",
			module:  "vmw_vmci",
			here:    loaded("vmw_vmci"),
			without: "no page can be told to have been dirtied by the release of a VMCI queue pair",
			sites:   []site{callSite("vmci_qp_broker_detach", "all", "vmci")},
		},
		// Pages of a large folio it lets go without marking them dirty.
		event.HolderNFS: {
			purpose: "release of a direct read's pages by NFS",
			module:  "nfs",
			here:    loaded("nfs"),
			without: "no page can be told to have been dirtied by a direct read from NFS",
			sites:   []site{callSite("nfs_direct_read_completion", "all", "nfs")},
		},
		event.HolderFUSE: {
			purpose: "release of a direct read's pages by FUSE",
			module:  "fuse",
			here:    loaded("fuse"),
			without: "no page can be told to have been dirtied by a direct read from FUSE",
			sites:   fuseSites(),
		},
		// Of all queues and allocators. A buffer whose memory a program exchanges for other memory it
		// lets go elsewhere.
		event.HolderV4L2: {
			purpose: "release of a V4L2 queue's buffers",
			module:  "videobuf2_common",
			here:    loaded("videobuf2_common"),
			without: "no page can be told to have been dirtied by the release of a V4L2 buffer",
			sites:   []site{callSite("__vb2_queue_free", "all", "queue")},
		},
		event.HolderXDP: {
			purpose: "release of the umem of AF_XDP sockets",
			here:    knowsProtocol("XDP"),
			without: "no page can be told to have been dirtied by the release of a umem of AF_XDP",
			sites:   []site{xdpSite()},
		},
		event.Holder9P: {
			purpose: "release of a direct read's pages by netfs",
			module:  "netfs",
			here:    func() bool { return loaded("netfs")() && isThere("/proc/fs/netfs") }, // which came with its direct reads (Linux 6.8)
			without: "no page can be told to have been dirtied by a direct read from 9p",
			sites:   []site{netfsSite("netfs_read_collection", "6.14 and newer"), netfsSite("netfs_rreq_terminated", "6.8 to 6.13"), v9fsSite()},
		},
	}
}

func unpinSite() site {
	s := callSite("unpin_user_pages_dirty_lock", "5.6 and newer", "unpin")
	s.unless = "unpin_user_page_range_dirty_lock" // what a umem's release calls instead, since 5.13
	return s
}

func vmwritevSite() site {
	s := callSite("__x64_sys_process_vm_writev", "all", "call")
	remote := site{
		symbol: "pin_user_pages_remote", kernels: "5.6 and newer",
		fentry: "pause_fentry", fexit: "resume_fexit", kprobe: "pause_kprobe", kretprobe: "resume_kprobe",
	}
	s.also = &remote
	return s
}

// xdpSite is where each socket lets go, and the worker that does so for one that was never bound.
func xdpSite() site {
	s := callSite("xdp_put_umem", "all", "xdp")
	s.takes = "xdp_umem"
	worker := callSite("xdp_umem_release_deferred", "all", "xdp")
	worker.fentry, worker.kprobe = "xdp_work_enter_fentry", "xdp_work_enter_kprobe"
	s.also = &worker
	return s
}

// netfsSite is the call that reads, whose pages the function lets go of.
func netfsSite(symbol, kernels string) site {
	s := callSite("netfs_unbuffered_read_iter_locked", kernels, "netfs")
	letsGo := site{symbol: symbol, kernels: kernels, fentry: "resume_fentry", kprobe: "resume_kprobe"}
	s.also = &letsGo
	return s
}

// v9fsSite is the call that reads over virtio, from when it has asked for the bytes on. No kernel is known to mark a page
// dirty there: to see that none does, runs watch it.
func v9fsSite() site {
	s := callSite("p9_virtio_zc_request", "up to 6.7", "netfs")
	s.module = "9pnet_virtio"
	asked := site{symbol: "virtqueue_kick", kernels: "all", module: "virtio_ring", fentry: "resume_fentry", kprobe: "resume_kprobe"}
	s.also = &asked
	return s
}

// fuseSites are where FUSE lets go, and, where gcc has made that a part of its callers, those.
func fuseSites() []site {
	call := site{
		symbol: "fuse_direct_io", kernels: "5.10 and 6.1, as gcc 10 and 12 build them",
		fentry: "fuse_call_enter_fentry", fexit: "fuse_leave_fexit", kprobe: "fuse_call_enter_kprobe", kretprobe: "fuse_leave_kprobe",
	}
	aio := site{
		symbol: "fuse_aio_complete_req", kernels: "the same",
		fentry: "fuse_aio_enter_fentry", fexit: "fuse_leave_fexit", kprobe: "fuse_aio_enter_kprobe", kretprobe: "fuse_leave_kprobe",
	}
	pinned := site{symbol: "fuse_simple_request", kernels: "the same", fentry: "resume_fentry", kprobe: "resume_kprobe"}
	next := site{symbol: "fuse_io_alloc", kernels: "the same", fentry: "pause_fentry", kprobe: "pause_kprobe"}
	call.also, aio.also, pinned.also = &aio, &pinned, &next
	return []site{
		callSite("fuse_release_user_pages", "where it is whole", "fuse"),
		callSite("fuse_release_user_pages.constprop.0", "6.12, as gcc 12 builds it", "fuse"),
		callSite("fuse_release_user_pages.isra.0", "7.2, as gcc 15 builds it", "fuse"),
		call,
	}
}

// dirtiedPurpose tells the funnel from the releases.
const dirtiedPurpose = "page dirtied"

func stockDirtied() hook {
	return hook{
		purpose: dirtiedPurpose,
		without: "no page is seen to be dirtied",
		loses:   func(l *event.Lost) *uint64 { return &l.Pages },
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

// regionKinds are those that it takes to watch regions come and go for.
var regionKinds = []event.Kind{event.Pinned, event.Refused, event.Released}

// hooksFor returns what a session attaches that watches the holders and tells of the kinds.
func (t table) hooksFor(holders []string, kinds []event.Kind) []hook {
	var hooks []hook
	for _, holder := range holders {
		hooks = append(hooks, t.releases[holder])
		if h, lets := t.others[holder]; lets {
			hooks = append(hooks, h)
		}
	}
	hooks = append(hooks, t.dirtied)
	for _, holder := range holders {
		if h, reads := t.submitted[holder]; reads {
			hooks = append(hooks, h)
		}
	}
	if wantsRegions(holders, kinds) {
		hooks = append(hooks, t.hooksOf(event.Pinned)...)
	}
	for _, holder := range holders {
		if h, pins := t.pinned[holder]; pins && slices.Contains(kinds, event.Pinned) {
			h.kind = event.Pinned
			hooks = append(hooks, h)
		}
	}
	for _, kind := range []event.Kind{event.Stripped, event.Dropped} {
		if slices.Contains(kinds, kind) {
			hooks = append(hooks, t.hooksOf(kind)...)
		}
	}
	return hooks
}

// hooksOf returns those that tell of the kind.
func (t table) hooksOf(kind event.Kind) []hook {
	hooks := slices.Clone(t.kinds[kind])
	for i := range hooks {
		hooks[i].kind = kind
	}
	return hooks
}

func wantsRegions(holders []string, kinds []event.Kind) bool {
	return slices.Contains(holders, event.HolderUmem) &&
		slices.ContainsFunc(kinds, func(k event.Kind) bool { return slices.Contains(regionKinds, k) })
}

// Holders lists what [Options] may name as Holders.
func Holders() []string {
	return []string{event.HolderUmem, event.HolderDIO, event.HolderVMWritev, event.HolderVMCI, event.HolderNFS, event.HolderFUSE, event.HolderV4L2, event.HolderXDP, event.Holder9P}
}

// byKprobesAlone tells whether there is no other way for the hook: such a one keeps no module from being unloaded.
func (h *hook) byKprobesAlone() bool {
	return !slices.ContainsFunc(h.sites, func(s site) bool { return s.has(Fentry) })
}

// applies says whether this machine can come to what the hook is for.
func (h *hook) applies() bool { return h.here == nil || h.here() }

// present leaves out the optional hooks for what this machine cannot come to now, and does not wait for.
func present(hooks []hook) []hook {
	return slices.DeleteFunc(hooks, func(h hook) bool { return h.optional && !h.later && !h.applies() })
}

// expected waits for what this machine comes to once a module is loaded that is not, and does without what it
// cannot come to all the same.
func expected(hooks []hook) []hook {
	for i := range hooks {
		h := &hooks[i]
		if !h.applies() {
			h.optional = true
			h.later = h.module != "" && findModule(h.module) == module{}
		} else if h.here != nil && h.byKprobesAlone() {
			h.later = findModule(h.module).state == moduleLive // and again when it is loaded anew
		}
	}
	return hooks
}

// loaded is of what is in a module that few machines have, and that those load when they start.
func loaded(name string) func() bool {
	return func() bool { return findModule(name) != module{} }
}

// knowsProtocol is of sockets without which the kernel has none of the sites' functions: it is either
// built in or not there (net/core/sock.c, proto_register). Where the kernel does not say, it is there.
func knowsProtocol(name string) func() bool {
	return func() bool {
		text, err := os.ReadFile("/proc/net/protocols")
		return err != nil || slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, name+" ") })
	}
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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
