// Package dio is the holder dio: it pins by O_DIRECT reads into the mapping that a suspended
// device keeps in flight.
package dio

import (
	"context"
	"errors"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// reader keeps pages pinned with direct reads from a device into them. The first write goes
// through the mapping; the second one is the arrival of what the reads bring.
type reader struct {
	holder.ByCalls
	config  Config
	device  device
	content *memory.Region // what a given device holds; nil: the run decides
}

// Config is what the holder dio is opened with.
type Config struct {
	TargetBytes int64  // that are to arrive
	SourceBytes int64  // of a given source that are read, over and over
	StoreBytes  int    // that an operation of the first write stores
	Source      string // a block device or file to read from; empty: a device of the run's own
	Dir         string // where a device of the run's own has its space
}

// Facts is what is known of the holder dio.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "dio", What: "an O_DIRECT read from a block device into the mapping"},
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
		return &reader{config: c, device: given, content: content}, nil
	}
	gated, err := newGatedDevice(ctx, c.Dir, c.TargetBytes)
	if err != nil {
		return nil, err
	}
	return &reader{config: c, device: gated}, nil
}

// Device is what is read from.
func (h *reader) Device() record.Device { return h.device.describe() }

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
	if err := h.device.hold(); err != nil {
		return err
	}
	from := holder.File{Handle: h.device.direct(), Name: h.device.describe().Name, Span: h.device.span()}
	return h.Read(ctx, from, source, target, h.device.inFlight)
}

// Write is what the reads bring, when it is the second one.
func (h *reader) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	return h.LetGo(ctx, func() error { return h.device.supply(h.Source.Bytes) })
}

// Close ends reads that are still under way.
func (h *reader) Close() error {
	if h.device == nil {
		return nil
	}
	err := h.device.letGo()
	if err == nil && h.Calls != nil {
		_ = h.Calls.Wait(context.Background()) // a failed read was reported where it mattered
	}
	err = errors.Join(err, h.device.Close(), h.content.Close())
	h.device = nil
	return err
}
