// Package block makes block devices of the run's own: loop devices over files, and
// device-mapper devices that hold a read until they are told to let it go. Both are gone with
// their last user.
package block

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// Gate is a device-mapper device that passes reads on to the device below. While it is suspended
// it keeps those that come, for as long as one likes (drivers/md/dm.c, dm_submit_bio, queue_io).
// It is removed with its last user, so it is gone with this process; what is suspended is
// resumed then, however this process ends.
type Gate struct {
	mapped
	guards *guards  // for when this process is killed
	Node   *os.File // open for direct reads
	Number uint64   // of the device
}

// NewGate makes a device of the given size, in bytes, over the block device below. It is not
// suspended. Directory dir takes a device node for a moment where /dev has none.
func NewGate(ctx context.Context, below *os.File, size int64, dir string) (_ *Gate, err error) {
	control, err := loadMapper(ctx)
	if err != nil {
		return nil, err
	}
	g := &Gate{mapped: mapped{control: control, name: fmt.Sprintf("umemstress-%d-%08x", os.Getpid(), rand.Uint32())}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	undo, err := startMappedJanitor()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo.Close()) }()
	if err = g.create(undo); err != nil {
		return nil, err
	}
	if err = g.start(below, size); err == nil {
		g.Node, err = openNode(g.Number, dir)
	}
	if err = errors.Join(err, g.remove()); err != nil {
		return nil, err
	}
	if g.guards, err = startGuards(g.name); err != nil {
		return nil, err
	}
	return g, undo.Tell("") // the kernel sees to it from here on
}

// create makes the device, which nobody uses yet. Undo removes it from now on.
func (g *Gate) create(undo *child.Janitor) error {
	if err := undo.Tell(g.name); err != nil {
		return err
	}
	created := request{}
	if err := g.ask(&created, unix.DM_DEV_CREATE, 0); err != nil {
		return errors.Join(fault.Lacksf("make a device-mapper device: DM_DEV_CREATE: %w; it takes root", err), undo.Tell(""))
	}
	g.Number = created.Dev
	return nil
}

// start gives the device its one target and lets it work.
func (g *Gate) start(below *os.File, size int64) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(below.Fd()), &stat); err != nil {
		return fmt.Errorf("stat %s: %w", below.Name(), err)
	}
	load := request{}
	load.Target_count = 1
	if err := load.setTarget("linear", uint64(size)/512, linearParameters(stat.Rdev)); err != nil {
		return err
	}
	if err := g.ask(&load, unix.DM_TABLE_LOAD, unix.DM_READONLY_FLAG); err != nil {
		return fmt.Errorf("load a dm-linear table over %s: DM_TABLE_LOAD: %w; the kernel's log may say more", below.Name(), err)
	}
	return g.Resume()
}

// openNode opens a device-mapper device by its number, for direct reads. Where
// /dev is no devtmpfs, as in a container, it makes a node of its own.
func openNode(number uint64, dir string) (_ *os.File, err error) {
	const mode = os.O_RDONLY | unix.O_DIRECT
	usual := fmt.Sprintf("/dev/dm-%d", unix.Minor(number))
	var stat unix.Stat_t
	if err := unix.Stat(usual, &stat); err == nil && stat.Rdev == number {
		return os.OpenFile(usual, mode, 0)
	}
	private, err := os.MkdirTemp(dir, "umemstress-node-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(private)) }()
	node := filepath.Join(private, "dm")
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(number)); err != nil {
		return nil, fault.Lacksf("make a node for the device-mapper device: mknod %s: %w; it takes CAP_MKNOD, or a devtmpfs on /dev", node, err)
	}
	f, err := os.OpenFile(node, mode, 0)
	if err != nil {
		return nil, fault.Lacksf("open the device-mapper device: %w; choose a directory that allows devices with --scratch-dir", err)
	}
	return f, nil
}

// Close resumes the device and lets go of it, which removes it.
func (g *Gate) Close() error {
	var errs []error
	if g.guards != nil {
		errs = append(errs, g.Resume(), g.guards.Close())
	}
	for _, f := range []*os.File{g.Node, g.control} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	g.Node, g.control, g.guards = nil, nil, nil
	return errors.Join(errs...)
}
