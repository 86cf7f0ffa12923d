package workload

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// RemoveMappedCommand is the argument with which this program removes a
// device-mapper device: its main function hands over to RemoveMapped.
const RemoveMappedCommand = "remove-mapped"

// RemoveMapped removes the device-mapper device of that name with its last user,
// if there is one.
func RemoveMapped(name string) error {
	control, err := openMapper()
	if err != nil {
		return err
	}
	defer control.Close()
	err = (&delayDevice{control: control, name: name}).remove()
	if errors.Is(err, unix.ENXIO) { // it was never made, or is gone
		return nil
	}
	return err
}

// mappedUndo removes the device $told by this very program, descriptor 3: no
// other is sure to be there that could.
const mappedUndo = `[ -z "$told" ] || exec /proc/self/fd/3 ` + RemoveMappedCommand + ` "$told"`

// startMappedJanitor readies the removal of a device that a process leaves behind
// if it is killed between making it and having it go with its last user.
func startMappedJanitor() (*janitor, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer self.Close() // the shell has its own
	return startJanitor(self, mappedUndo)
}
