package lab

import (
	"os"
	"testing"

	"umemstress/soft-roce/lab/guest"
)

func TestMain(m *testing.M) {
	guest.InitIfPID1()
	os.Exit(m.Run())
}
