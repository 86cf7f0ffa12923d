//go:build !manual

// Command umemstress makes pages pinned behind a file system's back go wrong on
// demand, observes it, and proves what was lost.
package main

import (
	"os"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/soft-roce/lab/guest"
	"umemstress/workload"
)

func main() {
	guest.InitIfPID1()
	workload.RunChild()
	ctx, stop := signals.Interruptible(func() { os.Exit(exit.Interrupted) })
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
