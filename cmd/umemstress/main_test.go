package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload"
)

// asCommand makes the test binary the command, whatever it is called: also as a child
// of itself.
const asCommand = "UMEMSTRESS_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	workload.RunChild() // of what runs in the test's own process
	if os.Getenv(asCommand) != "" {
		main()
	}
	testscript.Main(checked{m}, map[string]func(){"umemstress": main})
}

// checked are the tests with a look at what they leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int { return leaktest.Run(c.m) }
