// Package dio is the holder dio: it pins by O_DIRECT reads into the mapping that a slow
// device keeps in flight.
package dio

import (
	"context"
	"errors"
	"time"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// longest is how long the phases between pin and the second write may take. It
// is also how long a killed process lingers: nothing ends a direct read early.
func longest(fileBytes int64) time.Duration {
	return time.Minute + time.Duration(fileBytes>>23)*time.Second
}

// reader keeps pages pinned with direct reads from a slow device into them.
// The first write goes through the mapping; the second one is the arrival of
// what the reads bring.
type reader struct {
	holder.ByCalls
	config  Config
	slow    slowDevice
	content *memory.Region // what a given device holds; nil: the run decides
}

// Config is what the holder dio is opened with.
type Config struct {
	TargetBytes int64  // that are to arrive
	SourceBytes int64  // of a given source that are read, over and over
	StoreBytes  int    // that an operation of the first write stores
	Source      string // a block device or file to read from; empty: a slow device of the run's own
	Dir         string // where a device of the run's own has its space
	// Delay is how long a device of the run's own waits at most; 0: as long as the phases
	// may take.
	Delay time.Duration
}

// Facts is what is known of the holder dio.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "dio", What: "an O_DIRECT read from a slow block device into the mapping"},
		Does:   "a direct read", Once: true, Probed: event.HolderDIO, // its pins are counted since Linux 6.5
	}
}

// Open readies the device to read from.
func Open(ctx context.Context, c Config) (holder.Holder, error) {
	if c.TargetBytes > holder.MaxCalls*holder.ReadBytes {
		return nil, fault.Usagef("--file-size %d: the holder dio blocks a thread for each MiB; give at most %d MiB", c.TargetBytes, holder.MaxCalls*holder.ReadBytes>>20)
	}
	if c.Source != "" {
		given, content, err := openGiven(ctx, c.Source, c.SourceBytes)
		if err != nil {
			return nil, err
		}
		return &reader{config: c, slow: given, content: content}, nil
	}
	delay := c.Delay
	if delay == 0 {
		delay = longest(c.TargetBytes)
	}
	slow, err := newSlowDevice(ctx, c.Dir, c.TargetBytes, delay)
	if err != nil {
		return nil, err
	}
	return &reader{config: c, slow: slow}, nil
}

// Device is what is read from.
func (h *reader) Device() record.Device { return h.slow.describe() }

// Content is what a given device holds.
func (h *reader) Content() []byte {
	if h.content == nil {
		return nil
	}
	return h.content.Bytes
}

// Pin starts a read into each part of the target and returns when all of them
// wait in the device.
func (h *reader) Pin(ctx context.Context, source, target *memory.Region) error {
	from := holder.File{Handle: h.slow.direct(), Name: h.slow.describe().Name, Span: h.slow.span()}
	return h.Read(ctx, from, source, target, h.slow.inFlight)
}

// Write is what the reads bring, when it is the second one.
func (h *reader) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	return h.LetGo(ctx, func() error { return h.slow.supply(h.Source.Bytes) })
}

// Close ends reads that are still under way. One that was not yet submitted when
// the device was told to hurry would wait for the whole delay, so it is told again.
func (h *reader) Close() error {
	if h.slow == nil {
		return nil
	}
	var errs []error
	for h.Calls != nil && h.Calls.UnderWay() {
		if err := h.slow.hurry(); err != nil {
			errs = append(errs, err)
			break
		}
		soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_ = h.Calls.Wait(soon) // a failed read was reported where it mattered
		cancel()
	}
	errs = append(errs, h.slow.Close(), h.content.Close())
	h.slow = nil
	return errors.Join(errs...)
}
