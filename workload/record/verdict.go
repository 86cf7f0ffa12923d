package record

import "slices"

// Verdict is what a run's evidence amounts to.
type Verdict string

// The verdicts, worst first.
const (
	Crashed      Verdict = "crashed"      // the kernel died of it
	Corrupted    Verdict = "corrupted"    // bytes of another file or clone changed
	DataLost     Verdict = "data-lost"    // fsync returned 0 and the bytes are not on disk
	Reproduced   Verdict = "reproduced"   // buffer-less dirty pages, no loss seen
	Exposed      Verdict = "exposed"      // unannounced dirtying only
	Refused      Verdict = "refused"      // the kernel refused the pin: the fix is in
	Clean        Verdict = "clean"        // everything ran and nothing was wrong
	Inconclusive Verdict = "inconclusive" // a phase did not happen or channels disagree
)

// Verdicts are all of them, worst first.
func Verdicts() []Verdict {
	return []Verdict{Crashed, Corrupted, DataLost, Reproduced, Exposed, Refused, Clean, Inconclusive}
}

// ExitCode is that of a command whose result is the verdict. What is no verdict proves
// nothing.
func (v Verdict) ExitCode() int {
	switch v {
	case Clean, Refused:
		return 0
	case Exposed:
		return 10
	case Reproduced:
		return 11
	case DataLost:
		return 12
	case Corrupted:
		return 13
	case Crashed:
		return 14
	}
	return 4
}

// Known says whether there is such a verdict.
func (v Verdict) Known() bool { return slices.Contains(Verdicts(), v) }

// CountsPages says whether HitPages tells of the verdict.
func (v Verdict) CountsPages() bool {
	_, _, channel := v.HitPages(Channels{})
	return channel != ""
}

// HitPages are the pages that a verdict of harm is about: how many were hit, of how many, and
// the channel that counted them. There is none for another verdict.
func (v Verdict) HitPages(c Channels) (hit, of uint64, channel string) {
	switch v {
	case Corrupted:
		return c.Clone.ChangedPages, c.Clone.CheckedPages, "clone"
	case DataLost:
		return c.Disk.StalePages, c.Disk.CheckedPages, "disk"
	case Reproduced:
		return c.Probes.BufferlessPages, c.Probes.DirtiedPages, "probes"
	case Exposed:
		return c.Probes.UnannouncedPages, c.Probes.DirtiedPages, "probes"
	}
	return 0, 0, ""
}
