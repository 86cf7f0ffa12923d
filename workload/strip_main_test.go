package workload

import (
	"os"
	"testing"
)

// The test binary is also the hog that the strip pressure starts.
func mainStrip(m *testing.M) {
	RunIfChild(map[string]ChildMain{hogChild: hogMain})
	os.Exit(m.Run())
}
