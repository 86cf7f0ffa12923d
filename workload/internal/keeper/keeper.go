// Package keeper keeps descriptors open in a child process for ever, on a machine whose
// kernel has died and that is to be rebooted.
package keeper

import (
	"io"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Child is the name of the child that Main is.
const Child = "keeper"

// Main waits for the end of the machine. SIGTERM is ignored, so that only SIGKILL, which
// comes last, ends it.
func Main(_ []string, _ io.Reader, _ io.Writer) error {
	signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	for {
		unix.Pause()
	}
}
