package probes

import "umemstress/probes/event"

func losesPins(l *event.Lost) *uint64   { return &l.Pins }
func losesStrips(l *event.Lost) *uint64 { return &l.Strips }

// stockOthers has siw, which up to 6.7 has no umem (siw.h). A session that watches umems watches it, too.
func stockOthers() map[string]hook {
	return map[string]hook{
		event.HolderUmem: {
			purpose: "release of a region of siw", module: "siw", optional: true, here: loaded("siw"),
			without: "no page can be told to have been dirtied by the release of a region of siw, which up to Linux 6.7 has no umem",
			sites:   []site{callSite("siw_umem_release", "all; since 6.8 it calls the release of a umem", "siw")},
		},
	}
}

// siwPinned is the registration, and the part of it that pins.
func siwPinned() hook {
	pins := site{symbol: "siw_umem_get", kernels: "all; since 6.8 it calls what pins a umem", kprobe: "siw_get_enter_kprobe", kretprobe: "siw_get_leave_kprobe"}
	return hook{
		purpose: "registration of a region with siw", module: "siw", optional: true, here: loaded("siw"), loses: losesPins,
		without: "no region of siw is seen to be pinned or refused, and every one that is released was pinned before",
		sites: []site{{
			symbol: "siw_reg_user_mr", kernels: "all",
			kprobe: "siw_register_enter_kprobe", kretprobe: "siw_register_leave_kprobe", also: &pins,
		}},
	}
}

// ofFindVMA came with bpf_find_vma (7c7e3d31e785, kernel/bpf/mmap_unlock_work.h), which lets go of
// the mmap lock by it.
const ofFindVMA = "mmap_unlock_irq_work"

// stockSubmitted is called for every direct read, but not for one by a single bio that waits,
// which is completed by who submitted it.
func stockSubmitted() map[string]hook {
	return map[string]hook{
		event.HolderDIO: {
			purpose: "submission of a direct read", optional: true, loses: losesPins,
			without: "the program is not known whose direct read a worker of the kernel completes",
			sites: []site{
				{symbol: "bio_set_pages_dirty", kernels: "all", fentry: "reader_fentry", kprobe: "reader_kprobe"},
			},
		},
		event.HolderNFS: {
			purpose: "submission of a direct read to NFS", module: "nfs", optional: true, here: loaded("nfs"), loses: losesPins,
			without: "the program is not known whose direct read from NFS a worker of the kernel completes",
			sites: []site{
				{symbol: "nfs_file_direct_read", kernels: "all", fentry: "nfs_reader_fentry", kprobe: "nfs_reader_kprobe"},
			},
		},
		event.HolderFUSE: {
			purpose: "submission of a direct read to FUSE", module: "fuse", optional: true, here: loaded("fuse"), loses: losesPins,
			without: "the program is not known whose direct read the server of a FUSE file system completes",
			sites: []site{
				{symbol: "fuse_simple_background", kernels: "5.4 and newer", fentry: "fuse_reader_fentry", kprobe: "fuse_reader_kprobe"},
			},
		},
	}
}

// stockPinned is called once for each queue pair, buffer or umem, and never for a direct read, as what
// really pins would be (get_user_pages_fast, pin_user_pages_fast).
func stockPinned() map[string]hook {
	return map[string]hook{
		event.HolderVMCI: {
			purpose: "pin of a VMCI queue pair", module: "vmw_vmci", optional: true, here: loaded("vmw_vmci"), loses: losesPins,
			without: "no VMCI queue pair is seen to be pinned",
			sites: []site{
				{symbol: "qp_host_get_user_memory", kernels: "all, where not inlined", kprobe: "pair_enter_kprobe", kretprobe: "pair_leave_kprobe"},
			},
		},
		event.HolderXDP: {
			purpose: "registration of a umem of AF_XDP", optional: true, here: knowsProtocol("XDP"), loses: losesPins,
			without: "no umem of AF_XDP is seen to be pinned or refused, nor whose it is",
			sites: []site{
				{symbol: "xdp_umem_create", kernels: "5.17 and newer", takes: ofFindVMA, kprobe: "xdp_create_enter_kprobe", kretprobe: "xdp_create_leave_mapped_kprobe"},
				{symbol: "xdp_umem_create", kernels: "up to 5.16", takes: "xdp_umem", kprobe: "xdp_create_enter_kprobe", kretprobe: "xdp_create_leave_kprobe"},
			},
		},
		event.HolderV4L2: {
			purpose: "pin of a V4L2 buffer", module: "videobuf2_memops", optional: true, here: loaded("videobuf2_memops"), loses: losesPins,
			without: "no V4L2 buffer is seen to be pinned or refused",
			sites: []site{
				{
					symbol: "vb2_create_framevec", kernels: "6.2 and newer", takes: ofFindVMA, parameters: 3,
					kprobe: "frames_enter_write_kprobe", kretprobe: "frames_leave_mapped_kprobe",
				},
				{symbol: "vb2_create_framevec", kernels: "up to 6.1", kprobe: "frames_enter_kprobe", kretprobe: "frames_leave_kprobe"},
			},
		},
	}
}

// stockKinds has what tells of regions under event.Pinned.
func stockKinds() map[event.Kind][]hook {
	return map[event.Kind][]hook{
		event.Pinned: {
			{
				purpose: "registration of an RDMA region", module: "ib_uverbs", optional: true, loses: losesPins,
				without: "no region is seen to be pinned or refused, and every one that is released was pinned before",
				sites: []site{
					{symbol: "ib_umem_get", kernels: "5.17 to 7.1", takes: ofFindVMA, kprobe: "umem_get_enter_kprobe", kretprobe: "umem_get_leave_mapped_kprobe"},
					{symbol: "__ib_umem_get_va", kernels: "7.2 and newer", takes: ofFindVMA, kprobe: "umem_get_enter_kprobe", kretprobe: "umem_get_leave_mapped_kprobe"},
					// Of what these refuse, and none refuses for its file, the maps of the process tell.
					{symbol: "ib_umem_get", kernels: "up to 5.16", kprobe: "umem_get_enter_kprobe", kretprobe: "umem_get_leave_kprobe"},
				},
			},
			siwPinned(),
			{
				purpose: "list of RDMA regions", module: "ib_core", optional: true, loses: losesPins,
				without: "a region that was pinned before is only recognised when it is released",
				sites:   []site{{symbol: "rdma_restrack_get", kernels: "4.17 and newer", kprobe: "listed_kprobe"}},
			},
			{
				purpose: "number of an RDMA region", module: "ib_core", optional: true, loses: losesPins,
				without: "the number by which the kernel lists a region is not told",
				sites:   []site{{symbol: "rdma_restrack_add", kernels: "5.0 and newer", kprobe: "number_enter_kprobe", kretprobe: "number_leave_kprobe"}},
			},
			// Direct reads pass it, too, so that the return alone is the better place.
			{
				purpose: "pin of a region's pages", optional: true, loses: losesPins,
				without: "the file of a region is known from the maps of its process alone",
				sites: []site{
					{symbol: "pin_user_pages_fast", kernels: "5.17 and newer", fexit: "pinned_pages_fexit", kprobe: "pinned_pages_enter_kprobe", kretprobe: "pinned_pages_leave_kprobe"},
					{symbol: "pin_user_pages_fast", kernels: "5.6 and newer", kprobe: "pinned_pages_enter_kprobe", kretprobe: "pinned_pages_leave_kprobe"},
				},
			},
		},
		// Its return, too, tells what came of it.
		event.Stripped: {{
			purpose: "buffers freed", optional: true, loses: losesStrips,
			without: "no page is seen to be stripped of its buffers",
			sites: []site{
				{symbol: "try_to_free_buffers", kernels: "5.18 and newer", takes: "folio", fexit: "stripped_folio_fexit", kprobe: "strip_folio_kprobe", kretprobe: "stripped_folio_kprobe"},
				{symbol: "try_to_free_buffers", kernels: "up to 5.17", fexit: "stripped_page_fexit", kprobe: "strip_page_kprobe", kretprobe: "stripped_page_kprobe"},
			},
		}},
		// A function with a variable number of arguments has no place for fentry.
		event.Dropped: {{
			purpose: "warning of ext4", module: "ext4", optional: true, loses: losesStrips,
			without: "no page is seen to be dropped by writeback",
			sites:   []site{{symbol: "__ext4_warning_inode", kernels: "all", kprobe: "dropped_kprobe"}},
		}},
	}
}

// Kinds lists what [Options] may name as Kinds.
func Kinds() []event.Kind {
	return []event.Kind{event.Stripped, event.Dropped, event.Pinned, event.Refused, event.Released}
}
