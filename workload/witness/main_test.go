package witness

import (
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
