package remedy

import (
	"fmt"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Fix is a change of the kernel that takes the bug, or a part of it, away.
type Fix struct {
	Name     string   // ours, short
	Commits  []string // of mainline
	Subject  string   // of the first
	Does     string   // what it changes for who has the trouble
	Mainline string   // the first release that has it; "": none that was looked at
	Stable   []Stable // of older lines that got it, too
	Absent   []Stable // lines that were looked at and do not have it; Version: the newest of them
	Anywhere bool     // it matters whatever the file system is; else on ext4 alone
	Only     string   // the holder whose route alone it closes; "": of others, too
	concerns func(Trouble) bool
}

// Stable is a version of a line of stable releases.
type Stable struct {
	Line    string // such as 5.10
	Version string // such as 5.10.110
	ABI     int    // of Debian's kernels, the first with it, where that is known
	Source  string // how it is known
}

// Fixes are all that are known, the oldest first.
func Fixes() []Fix {
	return []Fix{
		{
			Name: "no-bug-on", Commits: []string{"cc5095747edf"},
			Subject:  "ext4: don't BUG if someone dirty pages without asking ext4 first",
			Does:     "the kernel no longer dies: it warns and throws such pages away, and fsync returns 0 all the same",
			Mainline: "5.18",
			Stable: []Stable{
				{Line: "5.10", Version: "5.10.110", ABI: 14, Source: "Debian's changelog"},
				{Line: "4.14", Version: "4.14.278", Source: "the list of commits of v4.14.278-rt133; an earlier one may have it"},
			},
			concerns: func(t Trouble) bool { return t.BugOn },
		},
		{
			Name: "reclaim-spares-pins", Commits: []string{"d824ec2a1546"},
			Subject:  "mm: do not reclaim private data from pinned page",
			Does:     "reclaim leaves the buffers of pinned pages alone; holes, truncation and clones go on to hurt",
			Mainline: "6.4",
			Stable:   []Stable{{Line: "6.1", Version: "6.1.28", Source: "Debian's changelog"}},
			Absent:   []Stable{{Line: "5.10", Version: "5.10.262", Source: "read in Debian's source; and data-lost in the matrix"}},
			concerns: func(t Trouble) bool {
				h, known := holder(t.Holder)
				return t.ext4() && !t.Detached && !t.Large && !t.writtenBeside() && (!known || h.Pins)
			},
		},
		{
			Name: "no-long-pins", Commits: []string{"8ac268436e6d", "a6e79df92e4a"},
			Subject:  "mm/gup: disallow FOLL_LONGTERM GUP-nonfast writing to file-backed mappings",
			Does:     "the kernel refuses such a pin (EFAULT), and the program has to register other memory",
			Mainline: "6.5",
			Anywhere: true,
			Absent: []Stable{
				{Line: "5.10", Version: "5.10.262", Source: "the pin succeeds in the matrix"},
				{Line: "6.1", Version: "6.1.192", Source: "the pin succeeds in the matrix"},
			},
			concerns: func(t Trouble) bool {
				h, known := holder(t.Holder)
				return !known || h.LongTerm
			},
		},
		{
			Name: "direct-reads-pin", Commits: []string{"a7e689dd1c06", "1ccf164ec866"},
			Subject:  "block: Convert bio_iov_iter_get_pages to use iov_iter_extract_pages",
			Does:     "direct reads pin their pages so that reclaim can see it; large folios, holes and clones go on to hurt",
			Mainline: "6.5",
			Absent: []Stable{
				{Line: "5.10", Version: "5.10.262", Source: "data-lost in the matrix"},
				{Line: "6.1", Version: "6.1.192", Source: "data-lost in the matrix"},
			},
			concerns: func(t Trouble) bool {
				h, known := holder(t.Holder)
				return t.ext4() && !t.Detached && !t.Large && (!known || h.Block)
			},
		},
		{
			Name: "fuse-reads-pin", Commits: []string{"738adade96b2"},
			Subject:  "fuse: Fix missing FOLL_PIN for direct-io",
			Does:     "direct reads from FUSE pin their pages so that reclaim can see it; large folios, holes and clones go on to hurt",
			Mainline: "6.9",
			Only:     "fuse",
			Absent: []Stable{
				{Line: "5.10", Version: "5.10.262", Source: "data-lost in the matrix"},
				{Line: "6.1", Version: "6.1.192", Source: "data-lost in the matrix"},
			},
			concerns: func(t Trouble) bool {
				return t.ext4() && !t.Detached && !t.Large && t.Holder == "fuse"
			},
		},
		{
			Name: "9p-netfs", Commits: []string{"80105ed2fd27"},
			Subject:  "9p: Use netfslib read/write_iter",
			Does:     "direct reads from 9p pin their pages so that reclaim can see it, and mark them dirty; large folios, holes and clones go on to hurt",
			Mainline: "6.8",
			Anywhere: true,
			Only:     "9p",
			Absent: []Stable{
				{Line: "5.10", Version: "5.10.262", Source: "data-lost in the matrix"},
				{Line: "6.1", Version: "6.1.192", Source: "data-lost in the matrix"},
			},
			concerns: func(t Trouble) bool { return t.LeftClean == scenario.LeftCleanAll && !t.Detached },
		},
		{
			Name:    "dirty-accounting",
			Subject: "ext4: cancel dirty accounting for folios without buffers",
			Does:    "what ext4 throws away no longer counts as dirty for ever, which throttles all writers in the end; the data is lost as before",
			Absent:  []Stable{{Line: "6.12", Version: "6.12.117", Source: "posted to linux-ext4 in June 2026; read in Debian's source"}},
			concerns: func(t Trouble) bool {
				return t.ext4() && t.Effect == record.DataLost && !t.Detached && !t.Silent && !t.writtenBeside()
			},
		},
	}
}

// The states of a fix in a kernel. They are as sure as a version can be.
const (
	Lacks        = "lacks" // what happened shows it
	LikelyLacks  = "likely-lacks"
	LikelyHas    = "likely-has"
	StateUnknown = "unknown"
)

// FixState is a fix that concerns a trouble, and whether the kernel has it.
type FixState struct {
	Name    string   `json:"name"`
	Commits []string `json:"commits,omitempty"` // of mainline
	Subject string   `json:"subject"`
	Does    string   `json:"does"`
	State   string   `json:"state"` // lacks, likely-lacks, likely-has or unknown
	Why     string   `json:"why"`
	Kernels string   `json:"kernels"` // that have it
}

// FixesFor are the fixes that concern the trouble, with what is known of its kernel.
func FixesFor(t Trouble) []FixState {
	var all []FixState
	for _, f := range Fixes() {
		if !f.concerns(t) {
			continue
		}
		s := f.named()
		if s.Why = f.shown(t); s.Why != "" {
			s.State = Lacks
		} else {
			s.State, s.Why = f.In(t.Kernel)
		}
		all = append(all, s)
	}
	return all
}

func (f Fix) named() FixState {
	return FixState{Name: f.Name, Commits: f.Commits, Subject: f.Subject, Does: f.Does, Kernels: f.kernels()}
}

// Neighbours are the fixes that close other routes to such a trouble, and that its kernel has by its
// version: it happened all the same.
func Neighbours(t Trouble) []FixState {
	var all []FixState
	for _, f := range Fixes() {
		state, why := f.In(t.Kernel)
		if f.concerns(t) || state != LikelyHas || !f.Anywhere && !t.ext4() || f.Only != "" && f.Only != t.Holder {
			continue
		}
		s := f.named()
		s.State, s.Why = state, why
		all = append(all, s)
	}
	return all
}

// shown says what of the trouble could not have happened with the fix.
func (f Fix) shown(t Trouble) string {
	h, _ := holder(t.Holder)
	switch {
	case f.Name == "no-bug-on" && t.BugOn:
		return "it died in the BUG_ON that the fix takes away"
	case f.Name == "9p-netfs":
		return "it marked none of the pages dirty that a direct read had changed"
	case f.Name == "no-long-pins" && h.LongTerm && !t.Guessed && t.ext4() && t.Filesystem != "":
		return "it let such memory of " + t.Filesystem + " be pinned"
	}
	return ""
}

// In says whether a kernel has the fix, by its version, and why that is thought.
func (f Fix) In(k Kernel) (state, why string) {
	switch {
	case !k.known():
		return StateUnknown, "the kernel's version is not known"
	case f.Mainline == "":
		return LikelyLacks, "no kernel that was looked at has it"
	case k.atLeast(f.Mainline):
		return LikelyHas, "mainline has it since " + f.Mainline
	case k.vendor != "":
		return StateUnknown, fmt.Sprintf("the kernel is %s, which carry fixes of their own: look for the subject in the changelog of its package", k.vendor)
	}
	for _, s := range f.Stable {
		switch {
		case s.Line != k.branch():
		case !k.patch && (k.abi == 0 || s.ABI == 0):
			return StateUnknown, fmt.Sprintf("%s has it since %s, and the log does not tell which of them this is", s.Line, s.Version)
		case !k.patch && k.abi >= s.ABI, k.patch && k.atLeast(s.Version):
			return LikelyHas, fmt.Sprintf("%s has it since %s", s.Line, s.Version)
		default:
			return LikelyLacks, fmt.Sprintf("%s has it only since %s", s.Line, s.Version)
		}
	}
	for _, s := range f.Absent {
		if s.Line == k.branch() {
			return LikelyLacks, fmt.Sprintf("mainline has it since %s, and %s does not", f.Mainline, s.Version)
		}
	}
	return LikelyLacks, fmt.Sprintf("mainline has it since %s, and of a backport to %s nothing is known here", f.Mainline, k.branch())
}

// kernels says which have it.
func (f Fix) kernels() string {
	if f.Mainline == "" {
		return "none that was looked at"
	}
	all := []string{"Linux " + f.Mainline + " and newer"}
	for _, s := range f.Stable {
		one := fmt.Sprintf("%s from %s on", s.Line, s.Version)
		if s.ABI != 0 {
			one += fmt.Sprintf(" (Debian's %s.0-%d)", s.Line, s.ABI)
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

// Unfixed says for what part of the trouble no kernel has a fix, or "".
func Unfixed(t Trouble) string {
	h, _ := holder(t.Holder)
	switch {
	case t.Effect == record.Corrupted:
		return "no kernel that was looked at (5.10 to 7.2) keeps a direct read, process_vm_writev or a VMCI queue pair from overwriting a clone; regions of RDMA and buffers of V4L2 are refused since 6.5"
	case t.Filesystem == "btrfs" && t.Effect == record.Crashed:
		return "no kernel that was looked at (7.2, 7.3) keeps a split from taking the private state of a pinned folio of btrfs"
	case t.Filesystem == "btrfs" && t.Effect == record.Exposed:
		return "btrfs wrote such pages by itself until its fixup worker was removed (6.12.97), and does so again in 7.2.13"
	case t.LeftClean == scenario.LeftCleanLarge:
		return "no kernel that was looked at (6.1 to 7.2) has NFS mark pages of a large folio dirty that a direct read has changed"
	case t.writtenBeside() && t.Effect == record.DataLost:
		return "no kernel that was looked at (6.12 to 7.3) has unpin_user_pages_dirty_lock mark the blocks dirty of a large folio that is dirty already, from a write beside the pinned pages"
	case t.Filesystem == "nfs" && t.Effect == record.DataLost && !t.Detached:
		return "no kernel that was looked at (5.10 to 7.2) has the NFS client write a page that was marked dirty without its being told of the write"
	case t.Detached:
		return "no kernel that was looked at keeps pinned pages in their file when a hole is punched there, or beside them in a large folio"
	case h.Lacking != "":
		return "no kernel that was looked at (5.10 to 7.2) has " + h.Lacking
	case t.Large:
		return "no kernel that was looked at (7.2, 7.3) keeps a split from taking the buffers of a pinned large folio"
	}
	return ""
}
