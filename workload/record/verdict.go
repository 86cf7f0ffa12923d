package record

// Verdict is what a run's evidence amounts to.
type Verdict string

// The verdicts, worst first.
const (
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
	return []Verdict{Corrupted, DataLost, Reproduced, Exposed, Refused, Clean, Inconclusive}
}

// ExitCode is that of a command whose result is the verdict, and whether there is such a
// verdict.
func (v Verdict) ExitCode() (code int, known bool) {
	switch v {
	case Clean, Refused:
		return 0, true
	case Inconclusive:
		return 4, true
	case Exposed:
		return 10, true
	case Reproduced:
		return 11, true
	case DataLost:
		return 12, true
	case Corrupted:
		return 13, true
	}
	return 0, false
}
