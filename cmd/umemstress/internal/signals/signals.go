// Package signals ends the program in order when it is asked to, and not for a pipe.
package signals

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// sameRequest is how soon after the first a signal still means the same: timeout(1) sends
// its own twice, and at the end of a terminal both the kernel and the shell send one.
const sameRequest = 500 * time.Millisecond

// Interruptible returns a context that ends with the first signal that asks the program
// to end, so that it ends in order. A later one calls exit, for who does not want to wait
// for that; what then stays is undone by janitors.
func Interruptible(exit func()) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	asked := []os.Signal{unix.SIGINT, unix.SIGTERM}
	for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(s) { // as by nohup
			asked = append(asked, s)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, asked...)
	go func() {
		<-signals
		first := time.Now()
		cancel()
		for range signals {
			if time.Since(first) > sameRequest {
				exit()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

// Hangups has SIGHUP no longer end the program: it comes from the channel, also if it was ignored.
// It is for good, and at no moment does the signal do what it does to who does not ask.
func Hangups() <-chan os.Signal {
	hangups := make(chan os.Signal, 1)
	signal.Ignore(unix.SIGHUP) // also takes it from Interruptible
	signal.Notify(hangups, unix.SIGHUP)
	return hangups
}

// OutlivePipes has a write to a pipe that nobody reads fail like any other, instead of
// ending the program in the middle of what it does. Children get the default again, which
// they would not if the signal were ignored. It is for good: the last thing that is written
// is how it ended.
func OutlivePipes() { signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) }
