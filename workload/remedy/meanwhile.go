package remedy

import (
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Meanwhile says what to do until the kernel has a fix, the most urgent first. How far each is
// known: seen in guests on 5.10 to 7.2, unless it says otherwise.
func Meanwhile(t Trouble) []string {
	var all []string
	add := func(when bool, advice string) {
		if when {
			all = append(all, advice)
		}
	}
	h, _ := holder(t.Holder)
	lost := t.Effect == record.DataLost || t.Effect == record.Reproduced
	btrfs := t.Filesystem == "btrfs"
	elsewhere := "anonymous or hugetlb memory, or a file of tmpfs"
	if t.Detached { // which happens to files of tmpfs, too
		elsewhere = "anonymous memory"
	}

	letGo := "deregister"
	switch h.Name {
	case "v4l2":
		letGo = "have the queue let go of it (VIDIOC_REQBUFS of 0)"
	case "xdp":
		letGo = "close the socket"
	}
	add(t.Effect == record.Crashed && !t.Panicked, "Reboot the machine: what the dead thread held locked stays locked, and whoever syncs the file hangs (echo b > /proc/sysrq-trigger where reboot hangs).")
	add(t.Effect == record.Crashed, "Compare the file with what its program should have written: what came through the mapping since the last good writeback is not on the disk.")
	add(lost && !t.Detached, "Save what was lost while the page cache has it: before anything evicts the file (a reboot, drop_caches, memory pressure), copy it to another file system with cp, or store to each page through a shared mapping and fsync, which tells the file system.")
	add(lost && t.Detached, "What the holder wrote after its pages had gone from the file is nowhere: write it again from its source.")
	add(t.Effect == record.Corrupted, "Check each file that shares blocks with this one (clones, snapshots of it, deduplicated files) against a copy from before, and restore it.")
	add(btrfs && t.Effect == record.Exposed, "Heed EUCLEAN from msync and fsync: those pages are not on the disk. Write them again with write(2), or store to them through the mapping and sync.")

	v4l2 := h.Name == "v4l2"
	add(v4l2, "Capture into buffers of the device's own (V4L2_MEMORY_MMAP) or into "+elsewhere+", and write the file from there.")
	xdp := h.Name == "xdp"
	add(xdp, "Register "+elsewhere+" as the umem, and write the file from there.")
	add(h.LongTerm && !v4l2 && !xdp, "Register "+elsewhere+", and write the file from there; or register on demand (ODP), which pins nothing (run --odp tries it: nothing was lost with rdma_rxe of 7.2, which brings what does not begin with a page to the wrong place).")
	add(h.Direct, "Read into anonymous memory and write the file from there; never with O_DIRECT into a mapping of a file.")
	add(!h.LongTerm && !h.Direct, "Have devices, direct reads and process_vm_writev write to "+elsewhere+", and write the file from there.")
	add(h.LongTerm && !t.Detached && t.Effect != record.Corrupted, "Where it must be this file: stop the traffic, touch each page (MADV_POPULATE_WRITE since Linux 5.14, else a store), only then "+letGo+", and msync after that.")
	add(h.LongTerm && t.Effect == record.Corrupted, "Do not clone such a file (cp --reflink=never), nor deduplicate it, while it is registered; touch each page before it is deregistered.")
	add(!h.LongTerm && t.Effect == record.Corrupted, "Do not clone such a file (cp --reflink=never), nor deduplicate it.")
	add(t.Detached, "Punch, zero, truncate or write with O_DIRECT no part of a file that is pinned; nor beside it, where folios are large.")
	add(t.Silent && !t.Detached, "Nothing warns of this, nor counts it: compare what must be right with its source.")
	add(t.LeftClean == scenario.LeftCleanLarge, "MADV_RANDOM before the file is first touched keeps its folios small, which are marked; of those, reclaim and ext4 may lose some.")
	add(t.Large && h.Lacking == "" || btrfs && t.Effect == record.Crashed, "Keep MADV_PAGEOUT, MADV_COLD and tools that use them (DAMON, reclaim daemons) off such mappings; MADV_RANDOM before the file is first touched keeps its folios small.")
	add(h.LongTerm && t.ext4(), "Linux 6.5 and newer refuse such a region (EFAULT): before the upgrade, see to it that the program registers other memory.")
	add(t.ext4() && !t.writtenBeside() && !t.Detached && !t.Silent && (lost || t.Effect == record.Crashed), "Watch /sys/fs/ext4/DEVICE/warning_count: it rises with each page (or large folio) that ext4 throws away, and no rate limit hides it.")
	add(t.OfWarning, "Until then kernel.panic_on_warn=0 keeps a warning from taking the machine down; it does not keep the data.")
	return all
}
