package block

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// mapped is a device of the device mapper.
type mapped struct {
	control *os.File // of the device mapper
	name    string   // as the device mapper knows it
	Node    *os.File // open
	Number  uint64   // of the device
}

// table is the one target that covers a device.
type table struct {
	target     string
	parameters func(below uint64) string // by the number of the device below
	below      *os.File
	bytes      int64
	flags      uint32

	what, instead string // the device, and what does without it, as in errors
	takes         string // of the kernel, beside the device mapper
}

// newMapped makes a device that works, and that the kernel removes with its last user. It is open
// in the mode. Directory dir takes a device node for a moment where /dev has none.
func newMapped(ctx context.Context, t table, dir string, mode int) (_ *mapped, err error) {
	control, err := loadMapper(ctx)
	if err != nil {
		return nil, fault.Lacksf("no %s: %w, or %s", t.what, err, t.instead)
	}
	m := &mapped{control: control, name: fmt.Sprintf("umemstress-%d-%08x", os.Getpid(), rand.Uint32())}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	undo, err := startMappedJanitor()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo.Close()) }()
	if err = m.create(undo); err != nil {
		return nil, err
	}
	if err = m.start(t); err == nil {
		m.Node, err = openNode(m.Number, dir, mode)
	}
	if err = errors.Join(err, m.remove()); err != nil {
		return nil, err
	}
	return m, undo.Tell("") // the kernel sees to it from here on
}

// create makes the device, which nobody uses yet. Undo removes it from now on.
func (m *mapped) create(undo *child.Janitor) error {
	if err := undo.Tell(m.name); err != nil {
		return err
	}
	created := request{}
	if err := m.ask(&created, unix.DM_DEV_CREATE, 0); err != nil {
		return errors.Join(fault.Lacksf("make a device-mapper device: DM_DEV_CREATE: %w; it takes root", err), undo.Tell(""))
	}
	m.Number = created.Dev
	return nil
}

// start gives the device its one target and lets it work.
func (m *mapped) start(t table) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(t.below.Fd()), &stat); err != nil {
		return fmt.Errorf("stat %s: %w", t.below.Name(), err)
	}
	load := request{}
	load.Target_count = 1
	if err := load.setTarget(t.target, uint64(t.bytes)/512, t.parameters(stat.Rdev)); err != nil {
		return err
	}
	if err := m.ask(&load, unix.DM_TABLE_LOAD, t.flags); err != nil {
		return t.refused(err)
	}
	return m.Resume()
}

// refused says what is so where the kernel takes no such table: of a target or a cipher that it does
// not know it says EINVAL or ENOENT, as of much else (dm_table_add_target, crypt_ctr).
func (t table) refused(err error) error {
	if t.takes != "" && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)) {
		return fault.Lacksf("load a dm-%s table over %s: DM_TABLE_LOAD: %w; it takes %s, and the kernel's log says what it lacks; or %s", t.target, t.below.Name(), err, t.takes, t.instead)
	}
	return fmt.Errorf("load a dm-%s table over %s: DM_TABLE_LOAD: %w; the kernel's log may say more", t.target, t.below.Name(), err)
}

// Close lets go of the device, which removes it unless it is mounted.
func (m *mapped) Close() error {
	var errs []error
	for _, f := range []*os.File{m.Node, m.control} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	m.Node, m.control = nil, nil
	return errors.Join(errs...)
}

// loadMapper opens the device mapper. Where there is none, its module is loaded.
func loadMapper(ctx context.Context) (*os.File, error) {
	f, err := openMapper()
	if errors.Is(err, os.ErrNotExist) {
		if modprobe, missing := child.Find("modprobe"); missing == nil {
			_ = exec.CommandContext(ctx, modprobe, "-q", "dm-mod").Run() // what it did, the next open tells
		}
		f, err = openMapper()
	}
	return f, err
}

func openMapper() (*os.File, error) {
	f, err := os.OpenFile("/dev/mapper/"+unix.DM_CONTROL_NODE, os.O_RDWR, 0)
	if err != nil {
		return nil, fault.Lacksf("no device mapper: %w; %s", err, mapperRemedy(err, os.Geteuid()))
	}
	return f, nil
}

// mapperRemedy is what helps against the error of opening the device mapper's node.
func mapperRemedy(err error, uid int) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "modprobe dm-mod (CONFIG_BLK_DEV_DM)"
	case uid == 0:
		return "pass the node into the container"
	}
	return "run as root"
}

// ask makes a request about the device.
func (m *mapped) ask(r *request, command uintptr, flags uint32) error {
	copy(r.Name[:], m.name)
	r.Flags = flags
	return r.call(m.control, command)
}

// Suspend has the device keep what comes from now on. No file system is on it that would have to
// be frozen, and nothing has to be over that is under way.
func (m *mapped) Suspend() error {
	if err := m.ask(&request{}, unix.DM_DEV_SUSPEND, unix.DM_SUSPEND_FLAG|unix.DM_NOFLUSH_FLAG|unix.DM_SKIP_LOCKFS_FLAG); err != nil {
		return fmt.Errorf("suspend the device-mapper device %s: DM_DEV_SUSPEND: %w", m.name, err)
	}
	return nil
}

// Resume has the device pass on what it kept, and what comes. One that is not suspended goes on.
func (m *mapped) Resume() error {
	// udev would read a device to see what is on it, and wait while it is suspended.
	const (
		noSubsystem, noDisk, noOther = 0x2, 0x4, 0x8 // DM_UDEV_DISABLE_*_RULES_FLAG, libdevmapper.h
		shift                        = 16            // DM_UDEV_FLAGS_SHIFT
	)
	resume := request{}
	resume.Event_nr = (noSubsystem | noDisk | noOther) << shift
	if err := m.ask(&resume, unix.DM_DEV_SUSPEND, 0); err != nil {
		return fmt.Errorf("resume the device-mapper device %s: DM_DEV_SUSPEND: %w", m.name, err)
	}
	return nil
}

// remove has the device go with its last user: at once if there is none.
func (m *mapped) remove() error {
	if err := m.ask(&request{}, unix.DM_DEV_REMOVE, unix.DM_DEFERRED_REMOVE); err != nil {
		return fmt.Errorf("remove the device-mapper device %s: DM_DEV_REMOVE: %w", m.name, err)
	}
	return nil
}

// linearParameters are those of the target: the device below, and the first sector there.
func linearParameters(device uint64) string {
	return fmt.Sprintf("%d:%d 0", unix.Major(device), unix.Minor(device))
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
