package remedy

import (
	"fmt"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Reproduction is how to see the same again: which scenario, and on which of the lab's kernels.
type Reproduction struct {
	Scenario string         `json:"scenario"`
	Kernel   string         `json:"kernel"`  // of the lab, the nearest that does it
	Verdict  record.Verdict `json:"verdict"` // that it is known to end in there
	Command  string         `json:"command"`
	Needs    string         `json:"needs,omitempty"` // what no mirror has
}

// Shown is a scenario that is known to end in a verdict on a kernel of the lab (expected.yaml of
// soft-roce/lab/matrix has the same; a test holds that).
type Shown struct {
	Scenario string
	Kernel   string
	Verdict  record.Verdict

	version   [3]int             // the kernel's
	flags     string             // of run, where they are not just the scenario
	leftClean scenario.LeftClean // which pages are lost because nobody marks them dirty
}

// unfixed is how the kernel 5.10-unfixed is made (kernels.Recipe; a test holds that).
const unfixed = "what 'umemstress lab build --source 5.10 --without-fix cc5095747edf' builds"

// Shows are all that may be advised.
func Shows() []Shown {
	var (
		v510 = [3]int{5, 10}
		v61  = [3]int{6, 1}
		v612 = [3]int{6, 12}
		v72  = [3]int{7, 2}
	)
	return []Shown{
		{Scenario: "rdma/ext4/pressure/none", Kernel: "5.10-unfixed", Verdict: record.Crashed, version: v510, flags: "--preset customer -D 10 --allow-crash"},
		{Scenario: "dio/ext4/pageout/none", Kernel: "5.10-unfixed", Verdict: record.Crashed, version: v510, flags: "--preset kara --allow-crash"},
		{Scenario: "vmwritev/ext4/pageout/none", Kernel: "5.10-unfixed", Verdict: record.Crashed, version: v510, flags: "--scenario vmwritev/ext4/pageout/none --allow-crash"},
		{Scenario: "dio/btrfs/pageout/none/large", Kernel: "sid", Verdict: record.Crashed, version: v72, flags: "--preset live --fs btrfs --allow-crash"},

		{Scenario: "rdma/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510, flags: "--preset quick"},
		{Scenario: "dio/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510, flags: "--preset kara"},
		{Scenario: "dio/ext4/pageout/none", Kernel: "6.1", Verdict: record.DataLost, version: v61, flags: "--preset kara"},
		{Scenario: "dio/ext4/pageout/none/large", Kernel: "sid", Verdict: record.DataLost, version: v72, flags: "--preset live --holder dio"},
		{Scenario: "vmwritev/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "vmci/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "vmci/ext4/pageout/none", Kernel: "6.1", Verdict: record.DataLost, version: v61},
		{Scenario: "vmci/ext4/pageout/none", Kernel: "6.12", Verdict: record.DataLost, version: v612},
		{Scenario: "vmci/ext4/pageout/none", Kernel: "sid", Verdict: record.DataLost, version: v72},
		{Scenario: "v4l2/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "xdp/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "nfs/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "nfs/ext4/pageout/none", Kernel: "6.1", Verdict: record.DataLost, version: v61},
		{Scenario: "nfs/ext4/pageout/none", Kernel: "6.12", Verdict: record.DataLost, version: v612},
		{Scenario: "nfs/ext4/pageout/none", Kernel: "sid", Verdict: record.DataLost, version: v72},
		{Scenario: "fuse/ext4/pageout/none", Kernel: "5.10", Verdict: record.DataLost, version: v510},
		{Scenario: "fuse/ext4/pageout/none", Kernel: "6.1", Verdict: record.DataLost, version: v61},
		{Scenario: "fuse/ext4/pageout/none/large", Kernel: "sid", Verdict: record.DataLost, version: v72},
		{Scenario: "nfs/xfs/none/none", Kernel: "6.1", Verdict: record.DataLost, version: v61, leftClean: scenario.LeftCleanLarge},
		{Scenario: "nfs/xfs/none/none", Kernel: "6.12", Verdict: record.DataLost, version: v612, leftClean: scenario.LeftCleanLarge},
		{Scenario: "nfs/xfs/none/none", Kernel: "sid", Verdict: record.DataLost, version: v72, leftClean: scenario.LeftCleanLarge},
		{Scenario: "nfs/ext4/none/none/large", Kernel: "sid", Verdict: record.DataLost, version: v72, leftClean: scenario.LeftCleanLarge},
		{Scenario: "9p/ext4/none/none", Kernel: "5.10", Verdict: record.DataLost, version: v510, leftClean: scenario.LeftCleanAll},
		{Scenario: "9p/ext4/none/none", Kernel: "6.1", Verdict: record.DataLost, version: v61, leftClean: scenario.LeftCleanAll},
		{Scenario: "9p/xfs/none/none", Kernel: "5.10", Verdict: record.DataLost, version: v510, leftClean: scenario.LeftCleanAll},
		{Scenario: "9p/xfs/none/none", Kernel: "6.1", Verdict: record.DataLost, version: v61, leftClean: scenario.LeftCleanAll},

		{Scenario: "dio/btrfs/none/none", Kernel: "6.12", Verdict: record.Exposed, version: v612},
	}
}

// Reproduce says how to see the trouble again in the lab: the scenario that is nearest to it, and
// for that the kernel that is nearest to its own. It is nil where none is known to show it.
func Reproduce(t Trouble) *Reproduction {
	var best *Shown
	for _, s := range Shows() {
		if !s.like(t) {
			continue
		}
		if best == nil || distance(s.version, t.Kernel) < distance(best.version, t.Kernel) {
			best = &s
		}
	}
	if best == nil {
		return nil
	}
	r := &Reproduction{Scenario: best.Scenario, Kernel: best.Kernel, Verdict: best.Verdict}
	r.Command = fmt.Sprintf("umemstress lab run --kernel %s -- %s", best.Kernel, best.Flags())
	if best.Kernel == "5.10-unfixed" {
		r.Needs = unfixed
	}
	return r
}

// Flags are those of run for the scenario.
func (s Shown) Flags() string {
	if s.flags != "" {
		return s.flags
	}
	return "--scenario " + s.Scenario
}

// like says whether the scenario shows that sort of trouble.
func (s Shown) like(t Trouble) bool {
	parts := strings.Split(s.Scenario, "/")
	filesystem := t.Filesystem
	if t.ext4() {
		filesystem = "ext4"
	}
	effect := t.Effect
	if effect == record.Reproduced { // no run stops there: the loss follows
		effect = record.DataLost
	}
	if effect == record.Crashed && filesystem == "ext4" && !t.BugOn { // of a warning, by panic_on_warn
		effect = record.DataLost
	}
	return parts[0] == standIn(t) && parts[1] == filesystem && s.Verdict == effect && s.leftClean == t.LeftClean
}

// standIn is the holder of scenarios that is most like the trouble's.
func standIn(t Trouble) string {
	h, known := holder(t.Holder)
	switch {
	case t.Filesystem == "btrfs":
		return "dio"
	case (h.Name == "v4l2" || h.Name == "xdp") && t.Effect != record.Crashed: // the kernel that crashes has neither vivid nor AF_XDP
		return h.Name
	case !known || h.LongTerm:
		return "rdma"
	case t.LeftClean != scenario.LeftCleanNone: // which other holders do not lose
		return h.Name
	case h.Name == "vmwritev", h.Name == "vmci", (h.Name == "nfs" || h.Name == "fuse") && t.Effect != record.Crashed: // the kernel that crashes has neither
		return h.Name
	}
	return "dio"
}

// distance is how far a kernel of the lab is from the trouble's: lines of stable releases between
// them, as their numbers tell.
func distance(version [3]int, k Kernel) int {
	const major = 20 // about as many releases have one
	if !k.known() {
		return -(version[0]*major + version[1]) // the newest
	}
	d := version[0]*major + version[1] - k.upstream[0]*major - k.upstream[1]
	return max(d, -d)
}
