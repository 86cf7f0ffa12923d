package workload

import (
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload/holder/holdertest"
)

func TestMain(m *testing.M) {
	RunChild()
	os.Exit(leaktest.Run(holdertest.Tests{M: m}))
}
