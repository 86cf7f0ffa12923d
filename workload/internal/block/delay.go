// Package block makes block devices of the run's own: loop devices over files, and
// device-mapper devices that hold a read until they are told to let it go. Both are gone with
// their last user.
package block

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// Delay is a device-mapper device that passes a read on to the device
// below only when a delay is over or when it is flushed (drivers/md/dm-delay.c).
// It is removed with its last user, so it is gone with this process, however
// that ends: its reads are flushed then.
type Delay struct {
	control *os.File // of the device mapper
	flusher *flusher // for when this process is killed
	name    string   // as the device mapper knows it
	Node    *os.File // open for direct reads
	Number  uint64   // of the device
}

// NewDelay makes a device of the given size, in bytes, over the block device
// below. Directory dir takes a device node for a moment where /dev has none.
func NewDelay(ctx context.Context, below *os.File, size int64, delay time.Duration, dir string) (_ *Delay, err error) {
	control, err := loadMapper(ctx)
	if err != nil {
		return nil, err
	}
	d := &Delay{control: control, name: fmt.Sprintf("umemstress-%d-%08x", os.Getpid(), rand.Uint32())}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	undo, err := startMappedJanitor()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo.Close()) }()
	if err = d.create(undo); err != nil {
		return nil, err
	}
	if err = d.start(below, size, delay); err == nil {
		d.Node, err = openNode(d.Number, dir)
	}
	if err = errors.Join(err, d.remove()); err != nil {
		return nil, err
	}
	if d.flusher, err = startFlusher(d.name); err != nil {
		return nil, err
	}
	return d, undo.Tell("") // the kernel sees to it from here on
}

// loadMapper opens the device mapper. Where there is none, the module of dm-delay
// brings it along.
func loadMapper(ctx context.Context) (*os.File, error) {
	f, err := openMapper()
	if errors.Is(err, os.ErrNotExist) {
		if modprobe, missing := child.Find("modprobe"); missing == nil {
			_ = exec.CommandContext(ctx, modprobe, "-q", "dm-delay").Run() // what it did, the next open tells
		}
		f, err = openMapper()
	}
	return f, err
}

func openMapper() (*os.File, error) {
	f, err := os.OpenFile("/dev/mapper/"+unix.DM_CONTROL_NODE, os.O_RDWR, 0)
	if err != nil {
		return nil, fault.Lacksf("no device mapper for a slow device to read from: %w; %s, or give --dio-source DEVICE", err, mapperRemedy(err, os.Geteuid()))
	}
	return f, nil
}

// mapperRemedy is what helps against the error of opening the device mapper's node.
func mapperRemedy(err error, uid int) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "modprobe dm-delay (CONFIG_DM_DELAY)"
	case uid == 0:
		return "pass the node into the container"
	}
	return "run as root"
}

// create makes the device, which nobody uses yet. Undo removes it from now on.
func (d *Delay) create(undo *child.Janitor) error {
	if err := undo.Tell(d.name); err != nil {
		return err
	}
	created := request{}
	if err := d.ask(&created, unix.DM_DEV_CREATE, 0); err != nil {
		return errors.Join(fault.Lacksf("make a device-mapper device: DM_DEV_CREATE: %w; it takes root", err), undo.Tell(""))
	}
	d.Number = created.Dev
	return nil
}

// ask makes a request about the device.
func (d *Delay) ask(r *request, command uintptr, flags uint32) error {
	copy(r.Name[:], d.name)
	r.Flags = flags
	return r.call(d.control, command)
}

// start gives the device its one target and lets it work.
func (d *Delay) start(below *os.File, size int64, delay time.Duration) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(below.Fd()), &stat); err != nil {
		return fmt.Errorf("stat %s: %w", below.Name(), err)
	}
	load := request{}
	load.Target_count = 1
	if err := load.setTarget("delay", uint64(size)/512, delayParameters(stat.Rdev, delay)); err != nil {
		return err
	}
	err := d.ask(&load, unix.DM_TABLE_LOAD, unix.DM_READONLY_FLAG)
	if errors.Is(err, unix.EINVAL) {
		return fault.Lacksf("load a dm-delay table over %s: DM_TABLE_LOAD: %w; modprobe dm-delay (CONFIG_DM_DELAY), or give --dio-source DEVICE; the kernel's log may say more", below.Name(), err)
	}
	if err != nil {
		return fmt.Errorf("load a dm-delay table over %s: DM_TABLE_LOAD: %w", below.Name(), err)
	}
	// udev would read a new device to see what is on it, and wait for the delay.
	const (
		noSubsystem, noDisk, noOther = 0x2, 0x4, 0x8 // DM_UDEV_DISABLE_*_RULES_FLAG, libdevmapper.h
		shift                        = 16            // DM_UDEV_FLAGS_SHIFT
	)
	resume := request{}
	resume.Event_nr = (noSubsystem | noDisk | noOther) << shift
	if err := d.ask(&resume, unix.DM_DEV_SUSPEND, 0); err != nil {
		return fmt.Errorf("start the dm-delay device: DM_DEV_SUSPEND: %w", err)
	}
	return nil
}

// delayParameters are those of the target: the device below, the first sector
// there, and how many milliseconds a bio waits.
func delayParameters(device uint64, delay time.Duration) string {
	return fmt.Sprintf("%d:%d 0 %d", unix.Major(device), unix.Minor(device), delay.Milliseconds())
}

// setTarget describes the target that covers the whole device.
func (r *request) setTarget(kind string, sectors uint64, parameters string) error {
	spec := unix.DmTargetSpec{Length: sectors}
	copy(spec.Target_type[:], kind)
	n, err := binary.Encode(r.Target[:], binary.NativeEndian, spec)
	if err == nil && n+len(parameters) >= len(r.Target) {
		err = fmt.Errorf("the parameters %q of the target %s are too long", parameters, kind)
	}
	copy(r.Target[n:], parameters)
	return err
}

// status is what the target says of itself.
func (r *request) status() string {
	text, _, _ := bytes.Cut(r.Target[unix.SizeofDmTargetSpec:], []byte{0})
	return string(text)
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
		return nil, fault.Lacksf("make a node for the dm-delay device: mknod %s: %w; it takes CAP_MKNOD, or a devtmpfs on /dev", node, err)
	}
	f, err := os.OpenFile(node, mode, 0)
	if err != nil {
		return nil, fault.Lacksf("open the dm-delay device: %w; choose a directory that allows devices with --scratch-dir", err)
	}
	return f, nil
}

// Delayed returns how many reads wait for their delay to be over.
func (d *Delay) Delayed() (reads int, err error) {
	r := request{}
	if err := d.ask(&r, unix.DM_TABLE_STATUS, unix.DM_NOFLUSH_FLAG); err != nil {
		return 0, fmt.Errorf("status of the dm-delay device: DM_TABLE_STATUS: %w", err)
	}
	if _, err := fmt.Sscanf(r.status(), "%d", &reads); err != nil {
		return 0, fmt.Errorf("status of the dm-delay device: %q does not begin with the number of delayed reads", r.status())
	}
	return reads, nil
}

// Flush ends the delay of the reads that wait, and returns when they are done.
func (d *Delay) Flush() error {
	suspend, resume := request{}, request{}
	if err := d.ask(&suspend, unix.DM_DEV_SUSPEND, unix.DM_SUSPEND_FLAG|unix.DM_SKIP_LOCKFS_FLAG); err != nil {
		return fmt.Errorf("flush the dm-delay device: DM_DEV_SUSPEND: %w", err)
	}
	if err := d.ask(&resume, unix.DM_DEV_SUSPEND, 0); err != nil {
		return fmt.Errorf("resume the dm-delay device: DM_DEV_SUSPEND: %w", err)
	}
	return nil
}

// remove has the device go with its last user: at once if there is none.
func (d *Delay) remove() error {
	r := request{}
	if err := d.ask(&r, unix.DM_DEV_REMOVE, unix.DM_DEFERRED_REMOVE); err != nil {
		return fmt.Errorf("remove the dm-delay device %s: DM_DEV_REMOVE: %w", d.name, err)
	}
	return nil
}

// Close lets go of the device, which removes it.
func (d *Delay) Close() error {
	var errs []error
	for _, f := range []*os.File{d.Node, d.control} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if d.flusher != nil {
		errs = append(errs, d.flusher.Close())
	}
	d.Node, d.control, d.flusher = nil, nil, nil
	return errors.Join(errs...)
}
