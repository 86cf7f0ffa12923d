package probes

// A hook is one thing that the probes must see happen. Which function it
// happens in depends on the kernel, so a hook lists sites; the first one that
// can be attached is taken.
type hook struct {
	purpose string
	// module holds the sites' functions, unless it is built into the kernel.
	module string
	// without says what is lost when no site can be attached. A session with
	// a required hook missing would see nothing, so there is none.
	without  string
	required bool
	sites    []site
}

// A site is a kernel function and the programs that suit its arguments. An
// entry program is named for each kind of attachment; a program at the return
// only where the hook needs one.
type site struct {
	symbol  string
	kernels string // in which the function exists, for the reader; attaching decides
	takes   string // the struct that its program reads, if not every kernel has it

	fentry, fexit     string // direct calls through a BPF trampoline; need the function's BTF
	kprobe, kretprobe string // kprobe-multi and perf kprobes alike
}

var hooks = []hook{
	{
		purpose:  "release of a umem",
		module:   "ib_uverbs",
		without:  "no page can be told to have been dirtied by the release of an RDMA region",
		required: true,
		sites: []site{
			{
				symbol: "ib_umem_release", kernels: "all",
				fentry: "release_enter_fentry", fexit: "release_leave_fexit",
				kprobe: "release_enter_kprobe", kretprobe: "release_leave_kprobe",
			},
			{
				// Called by ib_umem_release, and the part of it that unpins.
				symbol: "__ib_umem_release", kernels: "all, where not inlined",
				fentry: "release_enter_fentry", fexit: "release_leave_fexit",
				kprobe: "release_enter_kprobe", kretprobe: "release_leave_kprobe",
			},
		},
	},
	{
		purpose:  "page dirtied in ext4",
		module:   "ext4",
		without:  "pages dirtied in ext4 files are not seen",
		required: true,
		sites: []site{
			{
				symbol: "ext4_dirty_folio", kernels: "5.18 and newer", takes: "folio",
				fentry: "dirty_folio_fentry", kprobe: "dirty_folio_kprobe",
			},
			{
				symbol: "ext4_set_page_dirty", kernels: "4.10 to 5.17",
				fentry: "dirty_page_fentry", kprobe: "dirty_page_kprobe",
			},
		},
	},
	{
		purpose: "page dirtied in ext4 with data=journal",
		module:  "ext4",
		without: "pages dirtied in files of ext4 with data=journal are not seen",
		sites: []site{
			{
				symbol: "ext4_journalled_dirty_folio", kernels: "5.18 and newer", takes: "folio",
				fentry: "dirty_folio_fentry", kprobe: "dirty_folio_kprobe",
			},
			{
				symbol: "ext4_journalled_set_page_dirty", kernels: "up to 5.17",
				fentry: "dirty_page_fentry", kprobe: "dirty_page_kprobe",
			},
		},
	},
}

// abandoned ends a release whose task died in it. Without it the release stays
// open, and a later task with the same thread id could be taken for it.
const (
	abandonedPurpose    = "death of a task in a release"
	abandonedProgram    = "release_abandoned"
	abandonedTracepoint = "sched_process_exit"
	abandonedWithout    = "the last run of a release whose task dies in it is not counted"
)
