package scenario

import "slices"

// releasing are functions of the kernel that mark pages dirty when who pinned them lets go, and
// what they call for it on any file system (mm/gup.c, mm/page-writeback.c, block/bio.c,
// drivers/infiniband/core/umem.c, drivers/misc/vmw_vmci/vmci_queue_pair.c,
// drivers/media/common/videobuf2, net/xdp/xdp_umem.c). A thread that dies here dies of this bug.
var releasing = []string{
	"set_page_dirty_lock", "set_page_dirty", "folio_mark_dirty", "folio_mark_dirty_lock",
	"unpin_user_pages_dirty_lock", "unpin_user_page_range_dirty_lock", "unpin_user_folio_dirty_locked",
	"ib_umem_release", "__ib_umem_release", "qp_release_pages", "vmci_qp_broker_detach",
	"xdp_put_umem", "__vb2_queue_free", "vb2_vmalloc_put_userptr", "vb2_dma_sg_put_userptr", "vb2_dc_put_userptr",
	"bio_release_pages", "__bio_release_pages", "bio_check_pages_dirty", "bio_dirty_fn",
}

// Releasing are the functions that mark pages dirty when who pinned them lets go.
func Releasing() []string { return slices.Clone(releasing) }

// deadly are the functions of releasing, and those of a file system.
func deadly(f Filesystem) []string {
	return slices.Concat(releasing, f.Deadly)
}
