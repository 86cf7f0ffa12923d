package dio

import (
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload/child"
	"umemstress/workload/holder/holdertest"
	"umemstress/workload/internal/block"
)

// The test binary is also what removes a device that a killed process leaves.
func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{block.GuardChild: block.GuardMain, block.RemoveChild: block.RemoveMain})
	os.Exit(leaktest.Run(holdertest.Tests{M: m}))
}
