package verbstest

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

func (o *opened) CreateAH(pd verbs.Handle, to verbs.AH) (verbs.Handle, error) {
	d := o.device
	err := d.ask("CreateAH")
	defer d.mu.Unlock()
	if _, domain := d.pds[pd]; err == nil && (!domain || to.Port != 1) {
		err = unix.EINVAL
	}
	if err != nil {
		return 0, err
	}
	ah := verbs.Handle(d.number())
	d.ahs[ah] = true
	o.own = append(o.own, func() { delete(d.ahs, ah) })
	return ah, nil
}

func (o *opened) DestroyAH(ah verbs.Handle) error {
	d := o.device
	err := d.ask("DestroyAH")
	defer d.mu.Unlock()
	if err == nil && !d.ahs[ah] {
		err = unix.EINVAL
	}
	if err == nil {
		delete(d.ahs, ah)
	}
	return err
}
