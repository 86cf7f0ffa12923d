package lab

import (
	"context"
	"errors"
	"fmt"
)

var errTimeout = errors.New("the time was up")

// explain tells why QEMU ended before the program did.
func (g *guest) explain(ctx context.Context, qemuErr error) error {
	log := g.serial.read()
	if reason, ok := crashReason(log); ok {
		return &CrashError{Reason: reason, Serial: g.serial.keep()}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
		err := fmt.Errorf("not finished after %s", g.cfg.Timeout)
		if trouble, ok := troubleLine(log); ok {
			err = fmt.Errorf("%w; the guest's kernel said %q", err, trouble)
		}
		return g.labError("run the program", err)
	} else if cause != nil {
		return ctx.Err()
	}
	if reason, ok := initReason(log); ok {
		return g.labError("boot the guest", errors.New(reason))
	}
	if qemuErr != nil {
		err := qemuErr
		if said := oneLine(g.complaints.Bytes()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return g.labError("run QEMU", err)
	}
	return g.labError("run the program", errors.New("the guest powered off or was reset before the program ended"))
}
