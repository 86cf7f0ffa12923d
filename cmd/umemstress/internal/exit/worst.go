package exit

import (
	"slices"

	"umemstress/workload/record"
)

// severity orders the exit codes of outcomes, least first: a loss comes before a run
// that failed, and that before one that proves nothing or that this host cannot do.
func severity() []int {
	codes := []int{Clean, Usage, HostLacks, record.Inconclusive.ExitCode(), Interrupted, Failed}
	for _, v := range []record.Verdict{record.Exposed, record.Reproduced, record.DataLost, record.Corrupted, record.Crashed} {
		codes = append(codes, v.ExitCode())
	}
	return codes
}

// Worst is the exit code that matters most among those of several outcomes, whatever its number. One that no
// outcome has is a failure.
func Worst(codes []int) int {
	order, worst := severity(), 0
	for _, code := range codes {
		at := slices.Index(order, code)
		if at < 0 {
			at = slices.Index(order, Failed)
		}
		worst = max(worst, at)
	}
	return order[worst]
}
