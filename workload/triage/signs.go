package triage

import (
	"slices"
	"strings"

	"umemstress/workload/remedy"
	"umemstress/workload/scenario"
)

// signs are the functions of the kernel that tell this bug.
type signs struct {
	ext4  []string // that meet a page without buffers
	btrfs []string // that meet a page which btrfs was not told of
	all   []string // and those that mark pages dirty at a release: as the judge of a run has it
}

func signsOf(c scenario.Catalogue) signs {
	s := signs{all: scenario.Releasing()}
	for _, f := range c.Filesystems {
		switch f.Name {
		case "ext4":
			s.ext4 = f.Deadly
		case "btrfs":
			s.btrfs = f.Deadly
		}
		s.all = append(s.all, f.Deadly...)
	}
	return s
}

// dirtying are those of ext4 that warn when a page without buffers is marked dirty (fs/ext4/inode.c),
// and also when it is not locked.
var dirtying = []string{"ext4_set_page_dirty", "ext4_dirty_folio", "ext4_journalled_set_page_dirty", "ext4_journalled_dirty_folio"}

// locking are functions that mark pages dirty at a release with the page locked. Under them,
// dirtying warns for want of buffers alone.
var locking = slices.DeleteFunc(scenario.Releasing(), func(f string) bool {
	return f == "set_page_dirty" || f == "folio_mark_dirty"
})

// dirtyingMessage says which of the two the warning of a function of dirtying means, where its
// line of the source is known.
const (
	notLocked   = "not locked"
	noBuffers   = "no buffers"
	bugNoBuffer = "BUG_ON(!PagePrivate)"
)

// knownLines are lines of fs/ext4/inode.c that were seen, or read, in the source of that very
// kernel; of others the number tells nothing.
var knownLines = []struct {
	kernel string // the stable release, or what the release begins with
	line   uint64
	says   string
}{
	{"3.10.0-514.21.1.el7", 2297, bugNoBuffer}, // the report: set_page_dirty_lock had warned, and RAX had the page's flags without PG_private
	{"5.10.262", 2662, bugNoBuffer},            // without its backport of cc5095747edf
	{"5.10.262", 3682, noBuffers},              // the same
	{"5.10.262", 3706, notLocked}, {"5.10.262", 3707, noBuffers},
	{"6.1.192", 3663, notLocked}, {"6.1.192", 3664, noBuffers},
	{"6.12.117", 3586, notLocked}, {"6.12.117", 3587, noBuffers},
	{"7.2.13", 3953, notLocked}, {"7.2.13", 3954, noBuffers},
}

// sourceLine says what a line of fs/ext4/inode.c is, of the kernels of which that is known.
func (i *incident) sourceLine() string {
	if i.head.File != inodeSource {
		return ""
	}
	k := remedy.ParseKernel(i.release, i.version)
	for _, known := range knownLines {
		if known.line == i.head.Number && (k.Is(known.kernel) || strings.HasPrefix(i.release, known.kernel)) {
			return known.says
		}
	}
	return ""
}

const inodeSource = "fs/ext4/inode.c"

// telltale says whether a function is worth showing wherever it stands in a trace: who asked for
// writeback, or whose release it was.
func telltale(function string) bool {
	f, _, _ := strings.Cut(function, ".")
	if slices.Contains(asking, f) || slices.Contains(locking, f) {
		return true
	}
	return slices.ContainsFunc(remedy.Holders(), func(h remedy.Holder) bool { return slices.Contains(h.Releases, f) })
}

// asking are functions that tell who asked for writeback.
var asking = []string{"__do_sys_msync", "__x64_sys_msync", "SyS_msync", "sys_msync", "ext4_sync_file", "wb_workfn", "do_fsync", "ksys_sync", "sync_inodes_sb"}
