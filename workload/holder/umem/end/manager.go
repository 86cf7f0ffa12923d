package end

import (
	"context"
	"errors"

	"umemstress/rdma"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/module"
)

// Modules are what the connection manager needs of the kernel.
func Modules() module.Set {
	return module.Set{
		Top: "rdma_ucm", Unload: []string{"rdma_ucm", "rdma_cm", "iw_cm", "ib_cm", "configfs"},
		Busy: "rdma_cm", Options: "CONFIG_INFINIBAND_USER_ACCESS and CONFIG_INFINIBAND_ADDR_TRANS",
	}
}

// fits refuses what a device of iWARP does not do.
func (c Config) fits(d rdma.Device) error {
	v := verbNamed(c.Verb)
	switch {
	case !d.IWARP():
		return nil
	case !c.Manager:
		return fault.Lacksf("device %s is of iWARP, whose queue pairs the connection manager alone connects; give --rdma-cm", d.Name)
	case c.Path.Timeout != 0:
		return fault.Lacksf("device %s is of iWARP, where TCP repeats what is lost; leave --qp-timeout out", d.Name)
	case v.imm || v.atomic:
		return fault.Lacksf("device %s is of iWARP, which has no --verb %s; give write, read or send", d.Name, v.name)
	}
	return nil
}

// through is the backend of the device, and why it is that.
func (e *End) through() (rdma.Backend, string) {
	asked := rdma.Backend(e.config.Backend)
	if e.config.Manager && asked == rdma.AutoBackend {
		return rdma.IBVerbs, "the connection manager is a library of rdma-core, too"
	}
	return asked.Choose(e.info)
}

// openManager opens the connection manager. The source listens.
func (e *End) openManager() (err error) {
	if e.manager, err = e.context.NewManager(e.path); err != nil || e.config.Side == Target {
		return err
	}
	meeting, err := e.manager.Listen()
	e.meeting = &meeting
	return err
}

// errNoMeeting is of an end that was opened otherwise than this one.
var errNoMeeting = errors.New("the other end does not listen for the connection manager")

// meet connects the queue pairs, one after the other, while the other end does the same.
func (e *End) meet(ctx context.Context, other Place) error {
	path := e.path
	path.MTU = min(path.MTU, other.MTU)
	for _, p := range e.pairs {
		var err error
		switch {
		case e.config.Side == Source:
			err = e.manager.Accept(ctx, p.qp, path)
		case other.Meeting == nil:
			err = errNoMeeting
		default:
			err = e.manager.Dial(ctx, p.qp, *other.Meeting, path)
		}
		if err != nil {
			return err
		}
	}
	return e.manager.StopListening()
}
