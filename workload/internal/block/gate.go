// Package block makes block devices of the run's own: loop devices over files, and over those
// device-mapper devices that hold a read until they are told to let it go, or that encrypt. All
// are gone with their last user.
package block

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Gate is a device-mapper device that passes reads on to the device below. While it is suspended
// it keeps those that come, for as long as one likes (drivers/md/dm.c, dm_submit_bio, queue_io).
// It is removed with its last user, so it is gone with this process; what is suspended is
// resumed then, however this process ends.
type Gate struct {
	mapped
	guards *guards // for when this process is killed
}

// NewGate makes a device of the given size, in bytes, over the block device below, and opens it
// for direct reads. It is not suspended. Directory dir takes a device node for a moment where /dev
// has none.
func NewGate(ctx context.Context, below *os.File, size int64, dir string) (*Gate, error) {
	m, err := newMapped(ctx, table{
		target: "linear", parameters: linearParameters, below: below, bytes: size, flags: unix.DM_READONLY_FLAG,
		what: "device that holds reads", instead: "give --dio-source DEVICE",
	}, dir, os.O_RDONLY|unix.O_DIRECT)
	if err != nil {
		return nil, err
	}
	g := &Gate{mapped: *m}
	if g.guards, err = startGuards(g.name); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close resumes the device and lets go of it, which removes it.
func (g *Gate) Close() error {
	var errs []error
	if g.guards != nil {
		errs = append(errs, g.Resume(), g.guards.Close())
	}
	g.guards = nil
	return errors.Join(append(errs, g.mapped.Close())...)
}
