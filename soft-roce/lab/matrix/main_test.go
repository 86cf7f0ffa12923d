package matrix

import (
	"os"
	"testing"

	"umemstress/soft-roce/lab/guest"
)

func TestMain(m *testing.M) {
	guest.InitIfPID1() // the tests of the build tag lab boot this binary
	os.Exit(m.Run())
}
