package block

import (
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload/child"
)

// The test binary is also what removes a device that a killed process leaves, and resumes one.
func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{RemoveChild: RemoveMain, GuardChild: GuardMain})
	os.Exit(leaktest.Run(m))
}
