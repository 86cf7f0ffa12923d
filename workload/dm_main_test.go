package workload

import (
	"os"
	"testing"
)

// The test binary is also what removes a device that a killed process leaves.
func mainDM(m *testing.M) {
	RunIfChild(map[string]ChildMain{removeMappedChild: removeMappedMain})
	os.Exit(m.Run())
}
