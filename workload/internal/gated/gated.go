// Package gated has the block device that direct reads of a run are made from: it holds them until
// it is told to let them go.
package gated

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/block"
	"umemstress/workload/internal/file"
)

// Device is made for a run: a nameless file, a loop device, and a gate over it.
type Device struct {
	Size    int64 // bytes
	backing *os.File
	gate    *block.Gate
}

// New makes a device of so many bytes with its space in the directory.
func New(ctx context.Context, dir string, size int64) (made *Device, err error) {
	d := &Device{Size: size}
	defer func() {
		if err != nil {
			made, err = nil, errors.Join(err, d.Close())
		}
	}()
	if d.backing, err = file.Nameless(dir, size); err != nil {
		return nil, err
	}
	loop, err := block.AttachLoop(ctx, d.backing)
	if err != nil {
		return nil, err
	}
	d.gate, err = block.NewGate(ctx, loop, size, dir)
	return d, errors.Join(err, loop.Close()) // the device above keeps it
}

// Node is open for direct reads.
func (d *Device) Node() *os.File { return d.gate.Node }

// Driver is the kernel's, of each such device.
const Driver = "dm-linear"

// Name is the device's.
func (d *Device) Name() string { return fmt.Sprintf("dm-%d", unix.Minor(d.gate.Number)) }

// Hold has reads wait that come from now on.
func (d *Device) Hold() error { return d.gate.Suspend() }

// Supply makes the device hold the bytes, over and over, and lets the reads go. It writes to the
// file below the gate, which no read that is held has reached.
func (d *Device) Supply(source []byte) error {
	for at := int64(0); at < d.Size; at += int64(len(source)) {
		part := source[:min(int64(len(source)), d.Size-at)]
		if _, err := d.backing.WriteAt(part, at); err != nil {
			return fmt.Errorf("put %d bytes at %d into the scratch file below the device that is read: %w", len(part), at, err)
		}
	}
	return d.LetGo()
}

// LetGo ends the wait of the reads.
func (d *Device) LetGo() error { return d.gate.Resume() }

// Close gives everything back. Reads that are held are let go.
func (d *Device) Close() error {
	if d == nil {
		return nil
	}
	var errs []error
	if d.gate != nil {
		errs = append(errs, d.gate.Close())
	}
	if d.backing != nil {
		errs = append(errs, d.backing.Close())
	}
	d.gate, d.backing = nil, nil
	return errors.Join(errs...)
}
