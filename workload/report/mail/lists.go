package mail

import "slices"

// section is one of MAINTAINERS, of Linux 6.12 unless it says otherwise.
type section struct {
	name  string
	lists []string // its L: lines
}

var (
	sectionExt4  = section{"EXT4 FILE SYSTEM", []string{"linux-ext4@vger.kernel.org"}}
	sectionExt2  = section{"EXT2 FILE SYSTEM", []string{"linux-ext4@vger.kernel.org"}}
	sectionXFS   = section{"XFS FILESYSTEM", []string{"linux-xfs@vger.kernel.org"}}
	sectionBtrfs = section{"BTRFS FILE SYSTEM", []string{"linux-btrfs@vger.kernel.org"}}
	sectionF2FS  = section{"F2FS FILE SYSTEM", []string{"linux-f2fs-devel@lists.sourceforge.net"}}
	sectionOCFS2 = section{"ORACLE CLUSTER FILESYSTEM 2 (OCFS2)", []string{"ocfs2-devel@lists.linux.dev"}}
	sectionVFS   = section{"FILESYSTEMS (VFS and infrastructure)", []string{"linux-fsdevel@vger.kernel.org"}}
	sectionIomap = section{"FILESYSTEMS [IOMAP]", []string{"linux-xfs@vger.kernel.org", "linux-fsdevel@vger.kernel.org"}}
	sectionCache = section{"PAGE CACHE", []string{"linux-fsdevel@vger.kernel.org"}}
	sectionBlock = section{"BLOCK LAYER", []string{"linux-block@vger.kernel.org"}}
	sectionMM    = section{"MEMORY MANAGEMENT", []string{"linux-mm@kvack.org"}}
	sectionTmpfs = section{"TMPFS (SHMEM FILESYSTEM)", []string{"linux-mm@kvack.org"}}
	sectionHuge  = section{"HUGETLB SUBSYSTEM", []string{"linux-mm@kvack.org"}}
	sectionDAX   = section{"FILESYSTEM DIRECT ACCESS (DAX)", []string{"linux-fsdevel@vger.kernel.org", "nvdimm@lists.linux.dev"}}
	sectionRXE   = section{"SOFT-ROCE DRIVER (rxe)", []string{"linux-rdma@vger.kernel.org"}}
	sectionRDMA  = section{"INFINIBAND SUBSYSTEM", []string{"linux-rdma@vger.kernel.org"}}
	sectionVMCI  = section{"VMWARE VMCI DRIVER", []string{"linux-kernel@vger.kernel.org"}}
	sectionFUSE  = section{"FUSE: FILESYSTEM IN USERSPACE", []string{"linux-fsdevel@vger.kernel.org"}}
	section9P    = section{"9P FILE SYSTEM", []string{"v9fs@lists.linux.dev"}}
	sectionNetfs = section{"FILESYSTEMS [NETFS LIBRARY]", []string{"netfs@lists.linux.dev", "linux-fsdevel@vger.kernel.org"}}
	sectionV4L2  = section{"VIDEOBUF2 FRAMEWORK", []string{"linux-media@vger.kernel.org"}}
	sectionXDP   = section{"XDP SOCKETS (AF_XDP)", []string{"netdev@vger.kernel.org", "bpf@vger.kernel.org"}}
	sectionNFS   = section{"NFS, SUNRPC, AND LOCKD CLIENTS", []string{"linux-nfs@vger.kernel.org"}}
	sectionRest  = section{"THE REST", []string{"linux-kernel@vger.kernel.org"}}

	// Newer than 6.12: posted in May 2025, "MAINTAINERS: add mm GUP section".
	sectionGUP = section{"MEMORY MANAGEMENT - GUP (GET USER PAGES)", []string{"linux-mm@kvack.org"}}
)

// sectionOf is that of a file system, as scenarios and the probes name it. VFAT has no list.
func sectionOf(filesystem string) section {
	switch prefix(filesystem) {
	case "ext4", "ext3":
		return sectionExt4
	case "ext2":
		return sectionExt2
	case "xfs":
		return sectionXFS
	case "btrfs":
		return sectionBtrfs
	case "f2fs":
		return sectionF2FS
	case "ocfs2":
		return sectionOCFS2
	case "block":
		return sectionBlock
	case "nfs", "nfs4":
		return sectionNFS
	case "tmpfs":
		return sectionTmpfs
	case "hugetlbfs":
		return sectionHuge
	}
	return sectionVFS
}

// address sets who is written to: the list of the section whose code it is, and for information those
// of the file system, of who pins, of the page cache, of pinning, and of the kernel.
func (r *Report) address(own section, filesystem, holder string) {
	others := append([]section{sectionOf(filesystem)}, actorOf(holder).sections...)
	if prefix(filesystem) == "xfs" { // whose dirty blocks are iomap's
		others = append(others, sectionIomap)
	}
	r.addressTo(own, append(others, sectionVFS, sectionCache, sectionMM, sectionGUP, sectionRest))
}

// addressTo writes to the lists of one section, and to those of others for information.
func (r *Report) addressTo(own section, others []section) {
	r.To, r.Cc = slices.Clone(own.lists), nil
	r.Sections = []string{own.name}
	for _, s := range others {
		if slices.Contains(r.Sections, s.name) {
			continue
		}
		r.Sections = append(r.Sections, s.name)
		for _, list := range s.lists {
			if !slices.Contains(r.To, list) && !slices.Contains(r.Cc, list) {
				r.Cc = append(r.Cc, list)
			}
		}
	}
}
