// Package holder says what a run wants of who keeps its pages pinned, and has what holders
// share. Each holder is a folder below, and an entry in the table of package workload.
package holder

import (
	"context"

	"umemstress/workload/internal/memory"
	"umemstress/workload/latency"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Holder keeps a region's pages pinned and writes into them past the file
// system.
type Holder interface {
	// Pin pins the target, and the source where the holder needs it pinned. The
	// error is one of a refused pin when the kernel refuses to pin memory of a file for
	// as long as this holder keeps it, and ineffective when the pin did not last.
	Pin(ctx context.Context, source, target *memory.Region) error
	// Write makes the source's bytes arrive in the target, as step says, and
	// returns when every byte has arrived.
	Write(ctx context.Context, step Step) (record.Traffic, error)
	// Held says with an ineffective error that the holder has let go of the
	// target's pages on its own.
	Held() error
	// Release lets go of the pages and returns when the kernel has.
	Release(ctx context.Context) error
	// Device describes what holds.
	Device() record.Device
	// Content is what the second write brings, over and over, where the run cannot choose
	// it; nil where it can. A holder that does not know before tells it once that write is over.
	Content() []byte
	// Tally tells of the calls of a holder that pins for the time of a call; zero of another.
	Tally() Tally
	// Close releases what is still held; it may be called at any time.
	Close() error
}

// Config is what a holder is opened with that asks for nothing of its own.
type Config struct {
	TargetBytes int64 // that are to arrive
	StoreBytes  int   // that an operation of the first write stores
}

// Adjuster is a holder of whose facts some depend on this kernel. It knows them once it is open.
type Adjuster interface{ Adjust(*scenario.Facts) }

// Tally is how many calls of a holder were made, and how many of them held their pages
// until the second write, or until Held told that one did not.
type Tally struct{ Attempts, Held int }

// Step says what one of the two write phases does.
type Step struct {
	Source   payload.Recipe // of the bytes that the source holds, where the run chooses them
	Again    bool           // the second one, past the file system that believes the pages clean
	Stop     StopRule
	Progress *Progress          // of a holder that can repeat its traffic; nil: nobody looks
	Latency  *latency.Histogram // of operations, of a holder that can time them; nil: nobody asks
	// Overwriting is called when all has arrived and is about to be brought again; nil: nobody minds.
	Overwriting func(context.Context) error
}
