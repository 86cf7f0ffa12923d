package block

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
		return nil, fault.Lacksf("no device mapper for a device that holds reads: %w; %s, or give --dio-source DEVICE", err, mapperRemedy(err, os.Geteuid()))
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
