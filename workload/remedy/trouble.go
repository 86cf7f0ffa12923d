// Package remedy says what to do about the bug: which fixes a kernel lacks and which kernels have
// them, what shows it again, and what helps meanwhile.
//
// It is what is known, as data, with the source of each thing; it asks nothing of this machine.
// What a kernel's version tells is never more than likely: kernels carry fixes of others, and
// take some back. Whether the bug happened, no version says.
package remedy

import (
	"slices"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Trouble is what happened, or what a log tells of it. What is not known is empty.
type Trouble struct {
	Effect     record.Verdict // the worst that was seen
	Holder     string         // as in scenarios, or another that a log can name: see Holders
	Filesystem string         // as in scenarios
	Mutation   string         // as in scenarios; of a log, ""
	Large      bool           // folios of many pages were met
	Detached   bool           // the pages were taken from their file
	Silent     bool           // they had their buffers, so that nothing warned of the loss, nor counts it
	BugOn      bool           // the kernel died in ext4's BUG_ON
	Panicked   bool           // the machine died with the thread
	OfWarning  bool           // it died of a warning (panic_on_warn)
	Guessed    bool           // nothing proves that it was that holder
	Kernel     Kernel

	LeftClean scenario.LeftClean // which pages were lost because nobody marked them dirty
}

// Now is what to do.
type Now struct {
	Fixes     []FixState    `json:"fixes,omitempty"`     // that concern it
	Unfixed   string        `json:"unfixed,omitempty"`   // what none of them takes away
	Reproduce *Reproduction `json:"reproduce,omitempty"` // how to see it again
	Meanwhile []string      `json:"meanwhile,omitempty"` // what helps until then, the most urgent first
}

// For says what to do about a trouble. Where the kernel likely has all fixes that would concern
// it, it is taken to be of large folios, which they do not reach.
func For(t Trouble) Now {
	fixes := FixesFor(t)
	t.Large = t.Large || t.ext4() && !t.Detached && !t.writtenBeside() && len(fixes) > 0 &&
		!slices.ContainsFunc(fixes, func(f FixState) bool { return f.State != LikelyHas && len(f.Commits) > 0 })
	return Now{Fixes: fixes, Unfixed: Unfixed(t), Reproduce: Reproduce(t), Meanwhile: Meanwhile(t)}
}

// Holder is somebody who keeps pages pinned, and is told by the functions that let go.
type Holder struct {
	Name     string
	What     string   // it is, for a person
	LongTerm bool     // it pins with FOLL_LONGTERM, which newer kernels refuse of such files
	Pins     bool     // it pins with FOLL_PIN, so that reclaim can see it
	Direct   bool     // it reads with O_DIRECT
	Block    bool     // from a block device, so that the pages are a bio's
	Lacking  string   // what no kernel that was looked at does, so that reclaim heeds none of its pins
	Releases []string // functions of the kernel, any of which tells it; the nearest to the release
}

// Holders are those that were seen to do it (on 5.10 to 7.2, by stacks of the release), the
// more special first: a direct read of NFS is one of NFS.
func Holders() []Holder {
	return []Holder{
		{Name: "rdma", What: "an RDMA memory region", LongTerm: true, Pins: true, Releases: []string{"ib_umem_release", "__ib_umem_release", "siw_umem_release"}},
		{Name: "vfio", What: "memory that VFIO maps for a device", LongTerm: true, Pins: true, Releases: []string{"vfio_unpin_pages_remote", "vfio_remove_dma", "vfio_unmap_unpin"}},
		{Name: "xdp", What: "a umem of AF_XDP", LongTerm: true, Pins: true, Releases: []string{"xdp_put_umem", "xdp_umem_release", "xdp_umem_unpin_pages"}},
		{Name: "v4l2", What: "a USERPTR buffer of V4L2", LongTerm: true, Pins: true, Releases: []string{"vb2_vmalloc_put_userptr", "vb2_dma_sg_put_userptr", "vb2_dc_put_userptr"}},
		{Name: "vmci", What: "a queue pair of VMCI", Lacking: "VMCI pin the memory of a queue pair by FOLL_PIN, which reclaim would heed, or by FOLL_LONGTERM, which would be refused", Releases: []string{"qp_release_pages", "qp_host_unregister_user_memory"}},
		{Name: "nfs", What: "an O_DIRECT read from NFS", Direct: true, Lacking: "NFS pin the pages of a direct read by FOLL_PIN, which reclaim would heed", Releases: []string{"nfs_direct_read_completion", "nfs_direct_release_pages"}},
		{Name: "fuse", What: "a direct read from FUSE", Direct: true, Releases: []string{"fuse_direct_io", "fuse_release_user_pages", "fuse_aio_complete_req"}},
		{Name: "9p", What: "a read through netfs, such as 9p's", Direct: true, Releases: []string{"netfs_rreq_terminated", "netfs_read_collection", "netfs_unbuffered_read_iter_locked"}},
		{Name: "sgio", What: "an SG_IO read", Direct: true, Block: true, Releases: []string{"blk_rq_unmap_user", "sg_io", "sg_finish_rem_req"}},
		{Name: "vmwritev", What: "process_vm_writev", Pins: true, Releases: []string{"process_vm_rw", "process_vm_rw_core", "process_vm_rw_single_vec", "__x64_sys_process_vm_writev"}},
		// By its release it is a direct read; a run knows which.
		{Name: "aio", What: "an O_DIRECT read by io_submit", Direct: true, Block: true},
		{Name: "uring", What: "an O_DIRECT read by io_uring", Direct: true, Block: true},
		{Name: "dio", What: "an O_DIRECT read", Direct: true, Block: true, Releases: []string{"bio_release_pages", "__bio_release_pages", "bio_check_pages_dirty", "bio_dirty_fn"}},
	}
}

// holder finds the one that is named so.
func holder(name string) (Holder, bool) {
	for _, h := range Holders() {
		if h.Name == name {
			return h, true
		}
	}
	return Holder{}, false
}

// writtenBeside says whether the pages were left clean because their folio was dirty already, from
// an ordinary write beside them: their buffers are there all the while.
func (t Trouble) writtenBeside() bool { return t.Mutation == "write-beside" }

// ext4 says whether ext4's code writes the file.
func (t Trouble) ext4() bool {
	return t.Filesystem == "" || t.Filesystem == "ext4" || strings.HasPrefix(t.Filesystem, "ext4-")
}
