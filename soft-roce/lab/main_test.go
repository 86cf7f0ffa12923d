package lab

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	InitIfPID1()
	os.Exit(m.Run())
}
