package holdertest

import (
	"context"
	"fmt"
	"os"
	"sync"

	"umemstress/workload/filesystem"
	"umemstress/workload/scenario"
)

// shared is the file system that all files of a test program are on.
var shared struct {
	once    sync.Once
	scratch *filesystem.Scratch
	err     error
}

func sharedScratch() (*filesystem.Scratch, error) {
	shared.once.Do(func() {
		ext4, _ := scenario.Find(filesystem.Kinds(), "ext4")
		if shared.scratch, shared.err = filesystem.NewScratch(os.TempDir(), ext4, 64<<20); shared.err == nil {
			shared.err = shared.scratch.Make(context.Background())
		}
	})
	return shared.scratch, shared.err
}

// Tests are the tests of a package that uses this one, as its TestMain runs them.
type Tests struct{ M interface{ Run() int } }

// Run runs the tests, and gives the file system back that they shared.
func (t Tests) Run() int {
	code := t.M.Run()
	if shared.scratch == nil {
		return code
	}
	if err := shared.scratch.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
