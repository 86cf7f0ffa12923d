//go:build manual

// With the tag manual this is no command but what writes its man pages: 'make install' runs it.
// So the program has nothing of it, and the pages have all that the commands have.

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"umemstress/cmd/umemstress/internal/manual"
)

func main() {
	if err := writeManual(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writeManual wants the date of the source (reproducible-builds.org): no page has today's.
func writeManual(args []string, epoch string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || len(args) != 1 {
		return fmt.Errorf("give a directory, and SOURCE_DATE_EPOCH in the environment: %q, %q", args, epoch)
	}
	return manual.Write(newRootCommand(), args[0], time.Unix(seconds, 0))
}
