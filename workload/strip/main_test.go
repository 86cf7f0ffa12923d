package strip

import (
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload/child"
	"umemstress/workload/internal/hog"
)

// The test binary is also the hog that the strip pressure starts.
func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{hog.Child: hog.Main})
	os.Exit(leaktest.Run(m))
}
