package verbstest

import (
	"slices"

	"umemstress/rdma/internal/verbs"
)

// Tell has all who have the device open told of an event.
func (d *Device) Tell(e verbs.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tell(e)
}

// tell is Tell for who holds the lock.
func (d *Device) tell(e verbs.Event) {
	for _, o := range d.users {
		o.told = append(o.told, e)
	}
}

// SetPort takes the port up or down, and tells of it.
func (d *Device) SetPort(up bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = !up
	e := verbs.Event{Type: verbs.EventPortError, Port: 1}
	if up {
		e.Type = verbs.EventPortActive
	}
	d.tell(e)
}

func (o *opened) NextEvent() (verbs.Event, bool) {
	o.device.mu.Lock()
	defer o.device.mu.Unlock()
	switch {
	case o.device.removed:
		return verbs.Event{Type: verbs.EventDeviceFatal}, true
	case len(o.told) == 0:
		return verbs.Event{}, false
	}
	e := o.told[0]
	o.told = slices.Delete(o.told, 0, 1)
	return e, true
}
