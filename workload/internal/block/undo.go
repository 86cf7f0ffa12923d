package block

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

// RemoveChild is the name of the child that removeMappedMain is.
const RemoveChild = "remove-mapped"

// RemoveMain removes the device-mapper device that its argument names.
func RemoveMain(args []string, _ io.Reader, _ io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes the name of a device, not %d arguments", RemoveChild, len(args))
	}
	return remove(args[0])
}

// remove removes the device-mapper device of that name with its last user,
// if there is one.
func remove(name string) error {
	control, err := openMapper()
	if err != nil {
		return err
	}
	defer control.Close()
	err = (&mapped{control: control, name: name}).remove()
	if errors.Is(err, unix.ENXIO) { // it was never made, or is gone
		return nil
	}
	return err
}

// mappedUndo removes the device $told by this very program, descriptor 3: no
// other is sure to be there that could.
func mappedUndo() string {
	return `[ -z "$told" ] || { ` + child.Script(RemoveChild, `"$told"`) + `; }`
}

// startMappedJanitor readies the removal of a device that a process leaves behind
// if it is killed between making it and having it go with its last user.
func startMappedJanitor() (*child.Janitor, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer self.Close() // the shell has its own
	return child.StartJanitor([]*os.File{self}, mappedUndo())
}
