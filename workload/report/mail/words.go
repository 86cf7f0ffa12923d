package mail

import (
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// actor is how a holder is told of. In its steps, %s is the device.
type actor struct {
	brings   string // what puts the bytes into the mapping
	pin      string
	write    string // the old bytes
	again    string // the new ones
	release  string
	sections []section // of MAINTAINERS
	unmarked *actor    // on kernels where it leaves all pages clean; nil: as on others
}

// actors are the holders by name, as in scenarios and as observe has them.
var actors = map[string]actor{
	"rdma": {
		brings:  "RDMA WRITE",
		pin:     "Register the mapping as an RDMA memory region with %s.",
		write:   "Fill it by RDMA WRITEs from an anonymous region.",
		again:   "Send RDMA WRITEs with new bytes.",
		release: "Deregister the region.",
		sections: []section{
			sectionRDMA,
		},
	},
	"dio": {
		brings:   "O_DIRECT read",
		pin:      "pread() with O_DIRECT from %s into the mapping; the device, suspended or slow, keeps the reads in flight.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Let the reads complete: they bring new bytes.",
		release:  "The reads return, and have released the pages.",
		sections: []section{sectionBlock},
	},
	"aio": {
		brings:   "O_DIRECT read by io_submit()",
		pin:      "io_submit() IOCB_CMD_PREAD with O_DIRECT from %s into the mapping; the device, which is suspended, keeps the reads in flight.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Resume the device: the reads bring new bytes.",
		release:  "Take the events by io_getevents(). bio_dirty_fn() lets go of pages that were found clean, in a kworker.",
		sections: []section{sectionBlock},
	},
	"uring": {
		brings:   "O_DIRECT read by io_uring",
		pin:      "Submit IORING_OP_READ with O_DIRECT from %s into the mapping; the device, which is suspended, keeps the reads in flight.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Resume the device: the reads bring new bytes.",
		release:  "Take the completions. bio_dirty_fn() lets go of pages that were found clean, in a kworker.",
		sections: []section{sectionBlock},
	},
	"vmwritev": {
		brings:  "process_vm_writev()",
		pin:     "process_vm_writev() into the mapping, held in its copy by userfaultfd.",
		write:   "Meanwhile store old bytes to the mapping.",
		again:   "Let the calls go on: they bring new bytes.",
		release: "The calls return, and have released the pages.",
	},
	"vmci": {
		brings:   "vsock over VMCI",
		pin:      "As a VMX does, make VMCI queue pairs of /dev/vmci whose consume queues are the mapping (IOCTL_VMCI_QUEUEPAIR_ALLOC), and connect them to a listening socket of AF_VSOCK (module vmw_vsock_vmci_transport).",
		write:    "Send old bytes through the accepted sockets: the kernel writes them into the pages.",
		again:    "Send new bytes.",
		release:  "Detach the queue pairs (IOCTL_VMCI_QUEUEPAIR_DETACH).",
		sections: []section{sectionVMCI},
	},
	"nfs": {
		brings:   "O_DIRECT read from NFS",
		pin:      "pread() with O_DIRECT from a file on an NFSv3 mount into the mapping; the server does not answer yet.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Have the server answer: new bytes arrive.",
		release:  "The reads return; nfs_direct_read_completion() has let go of the pages.",
		sections: []section{sectionNFS},
	},
	"fuse": {
		brings:   "O_DIRECT read from FUSE",
		pin:      "pread() with O_DIRECT from a file of FUSE (FOPEN_DIRECT_IO) into the mapping; the server does not answer yet.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Have the server answer: new bytes arrive.",
		release:  "The reads return, and have released the pages.",
		sections: []section{sectionFUSE},
	},
	"9p": {
		brings:   "O_DIRECT read from 9p",
		pin:      "pread() with O_DIRECT from a file on a 9p mount (trans=fd,cache=none) into the mapping; the server does not answer yet.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Have the server answer: new bytes arrive.",
		release:  "The reads return; netfs_unbuffered_read_iter_locked() has let go of the pages.",
		sections: []section{section9P, sectionNetfs},
		unmarked: &actor{
			brings:   "O_DIRECT read from 9p",
			pin:      "pread() with O_DIRECT from a file on a 9p mount (trans=virtio,cache=none) into the mapping; the virtual machine's monitor does not answer yet.",
			write:    "Meanwhile store old bytes to the mapping.",
			again:    "Have the monitor answer: new bytes arrive.",
			release:  "The reads return; p9_virtio_zc_request() has let go of the pages.",
			sections: []section{section9P},
		},
	},
	"v4l2": {
		brings:   "V4L2 capture",
		pin:      "Queue the mapping as buffers of the V4L2 capture device %s (V4L2_MEMORY_USERPTR, VIDIOC_QBUF); it does not stream yet.",
		write:    "Meanwhile store old bytes to the mapping.",
		again:    "Switch the stream on (VIDIOC_STREAMON) and take each buffer back (VIDIOC_DQBUF): pictures arrive.",
		release:  "Have the queue let go of its buffers (VIDIOC_REQBUFS of 0).",
		sections: []section{sectionV4L2},
	},
	"xdp": {
		brings:   "AF_XDP",
		pin:      "Register the mapping as the umem of an AF_XDP socket (XDP_UMEM_REG), bound to one end of a pair of %s netdevs (XDP_COPY), where a program of XDP redirects packets to it.",
		write:    "Send packets with old bytes at the other end: the kernel copies them into the pages.",
		again:    "Send packets with new bytes.",
		release:  "Close the socket. xdp_put_umem() lets go of the pages in a kworker.",
		sections: []section{sectionXDP},
	},
}

// actorOfRun is how a run's holder is told of.
func actorOfRun(r *record.Record) actor {
	a := actorOf(r.Scenario.Holder)
	if a.unmarked != nil && r.Facts != nil && r.Facts.LeftClean == scenario.LeftCleanAll {
		a = *a.unmarked
	}
	if r.Scenario.Holder != "rdma" {
		return a
	}
	switch r.Settings.Release {
	case "exit":
		a.release = "The process that registered it exits, without deregistering it."
	case "kill":
		a.release = "The process that registered it is killed (SIGKILL)."
	}
	switch r.Settings.Verb {
	case "read":
		a.brings, a.write, a.again = "RDMA READ", "Fill it by RDMA READs of an anonymous region.", "Send RDMA READs of new bytes."
	case "send", "send-imm":
		a.brings, a.write, a.again = "RDMA SEND", "Receive into it what is sent from an anonymous region.", "Receive new bytes into it."
	}
	if r.Settings.OnDemand {
		a.pin = "Register the mapping with %s as an RDMA memory region that is paged on demand (IBV_ACCESS_ON_DEMAND)."
	}
	if size := ofBytes(r.Settings); size != "" {
		a.write += " They are" + size + "."
	}
	return a
}

// actorOf is how a holder is told of; one that is not known, by its name.
func actorOf(holder string) actor {
	if a, known := actors[holder]; known {
		return a
	}
	name := text(holder)
	if name == "" {
		name = "whoever pinned the pages"
	}
	return actor{
		brings: name, pin: "Have " + name + " pin the mapping.", write: "Fill the mapping with old bytes.",
		again: "Have " + name + " write new bytes.", release: "Release the pages.",
	}
}

// event is how a strip or a mutation is told of.
type event struct {
	step  string
	after string // in the subject
}

var strips = map[string]event{
	"pageout":     {"madvise(MADV_PAGEOUT) of the mapping.", "after MADV_PAGEOUT"},
	"cold":        {"madvise(MADV_COLD) of the mapping.", "after MADV_COLD"},
	"memcg":       {"Reclaim from the cgroup (memory.reclaim or memory.high).", "after memcg reclaim"},
	"pressure":    {"Take all free memory until kswapd has been at the pages.", "under memory pressure"},
	"drop-caches": {"munmap(), then /proc/sys/vm/drop_caches.", "after drop_caches"},
	"fadvise":     {"munmap(), then posix_fadvise(POSIX_FADV_DONTNEED).", "after POSIX_FADV_DONTNEED"},
	"none":        {},
}

var mutations = map[string]event{
	"none":            {},
	"reflink":         {"Take a clone of the file (FICLONE).", "when a clone is taken"},
	"punch":           {"Punch a hole over the mapped range.", "when the range is punched"},
	"zero-range":      {"Zero the mapped range (FALLOC_FL_ZERO_RANGE).", "when the range is zeroed"},
	"truncate":        {"Truncate the file to 0 and back to its size.", "when the file is truncated"},
	"odirect-write":   {"Write the old bytes to the range again, with O_DIRECT.", "after an O_DIRECT write to the range"},
	"punch-beside":    {"Punch a hole of a page just before and just behind the mapped range, where a folio holds both.", "when a hole is punched beside it"},
	"zero-beside":     {"Zero a page just before and just behind the mapped range (FALLOC_FL_ZERO_RANGE), where a folio holds both.", "when a page beside it is zeroed"},
	"truncate-beside": {"Truncate the file to where the mapped range ends, within a folio.", "when the file is truncated behind it"},
	"write-beside":    {"pwrite() a page just before and just behind the mapped range, where a folio holds both.", "after a write beside it"},
	"punch-apart":     {"Punch a hole of a page in the folio behind those of the mapped range.", "when a hole is punched in another folio"},
}

// ofRange are the mutations that change the very bytes that arrive meanwhile.
var ofRange = []string{"punch", "zero-range", "truncate", "odirect-write"}

// told is how one of them is told of; one that is not known, by its name.
func told(events map[string]event, name string) event {
	if e, known := events[name]; known || name == "" {
		return e
	}
	return event{step: "Then " + text(name) + ".", after: "after " + text(name)}
}

// prefix begins the subject, as that of patches to the file system does.
func prefix(filesystem string) string {
	switch name, _, _ := strings.Cut(filesystem, "-"); name {
	case "":
		return "fs"
	case "bdev":
		return "block"
	default:
		return text(name)
	}
}

// subjectOf says it in a line: what is lost, and what made it so.
func subjectOf(effect record.Verdict, filesystem, brings, strip, mutation, fsync string) string {
	line := prefix(filesystem) + ": " + brings + " into mmap "
	after := ""
	for _, e := range []event{told(strips, strip), told(mutations, mutation)} {
		if e.after != "" {
			after += " " + e.after
		}
	}
	switch effect {
	case record.Corrupted:
		line += "overwrites a reflink copy"
	case record.DataLost:
		line += "lost" + after + ", fsync returns 0"
	case record.Reproduced:
		line += "leaves dirty pages without buffers" + after
	default:
		line += "dirties pages behind the file system's back" + after
		if fsync != "" && fsync != "0" && fsync != record.NotAsked {
			line += ", fsync: " + text(fsync)
		}
	}
	return "[BUG] " + line
}
