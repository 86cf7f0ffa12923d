package lab

import (
	"context"
	"errors"
	"fmt"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/machine"
)

var errTimeout = errors.New("the time was up")

// explain tells why QEMU ended before the program did.
func (h *hostSide) explain(ctx context.Context, qemuErr error) error {
	log := h.serial.Read()
	if reason, ok := machine.CrashReason(log); ok {
		return &CrashError{Reason: reason, Serial: h.serial.Keep()}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
		err := fmt.Errorf("not finished after %s", h.cfg.Timeout)
		if trouble, ok := machine.TroubleLine(log); ok {
			err = fmt.Errorf("%w; the guest's kernel said %q", err, trouble)
		}
		return h.labError("run the program", err)
	} else if cause != nil {
		return ctx.Err()
	}
	if reason, ok := machine.InitReason(log); ok {
		return h.labError("boot the guest", errors.New(reason))
	}
	if qemuErr != nil {
		err := qemuErr
		if said := host.OneLine(h.complaints.Bytes()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return h.labError("run QEMU", err)
	}
	return h.labError("run the program", errors.New("the guest powered off or was reset before the program ended"))
}
