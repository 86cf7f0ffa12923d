package scenario

// The phases of a run, in order. Their names stand in run.json.
const (
	PhasePrepare    = "prepare"
	PhasePin        = "pin"
	PhaseWrite      = "write"
	PhaseClean      = "clean"
	PhaseStrip      = "strip"
	PhaseMutate     = "mutate"
	PhaseWriteAgain = "write-again"
	PhaseRelease    = "release"
	PhaseSettle     = "settle"
	PhaseVerify     = "verify"
)

// Phases returns the names of the phases in the order in which they run.
func Phases() []string {
	return []string{
		PhasePrepare, PhasePin, PhaseWrite, PhaseClean, PhaseStrip, PhaseMutate,
		PhaseWriteAgain, PhaseRelease, PhaseSettle, PhaseVerify,
	}
}
