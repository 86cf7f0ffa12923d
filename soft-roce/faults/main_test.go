package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"umemstress/soft-roce/leaktest"
)

var (
	givenProgram = flag.String("umemstress", "", "the program under test, its absolute path (default: built from this source)")
	seed         = flag.Uint64("faults.seed", 1, "what the random choices follow from")
	each         = flag.Int("faults.each", 5, "how often each signal is sent")
	parts        = flag.Int("faults.parts", 1, "how many guests share the scenarios of the campaign")
	part         = flag.Int("faults.part", 1, "which of them this is, from 1")
	crashes      = flag.Int("faults.crashes", 1, "how often the kernel dies in each way")
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	flag.Parse()
	defer os.RemoveAll(buildDir)
	return leaktest.Run(m)
}

// buildDir has the program that was built for the tests; empty: none was.
var buildDir string

// program is the path of the program under test.
func program(t testing.TB) string {
	t.Helper()
	if *givenProgram != "" {
		return *givenProgram
	}
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "umemstress-faults-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "umemstress")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../../cmd/umemstress")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as 'make build' does
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return path, nil
})
