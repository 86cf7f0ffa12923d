package verbstest

import "umemstress/rdma/internal/verbs"

// broken is a backend with a defect in the methods that its hooks replace.
type broken struct {
	verbs.Backend
	*hooks
}

type hooks struct {
	query      func(verbs.Backend) (verbs.DeviceAttr, error)
	queryPort  func(verbs.Backend, uint8) (verbs.PortAttr, error)
	event      func(verbs.Backend) (verbs.Event, bool)
	deallocPD  func(verbs.Backend, verbs.Handle) error
	registerMR func(verbs.Backend, verbs.Handle, []byte, verbs.Access) (verbs.MR, error)
	several    func(verbs.Backend, verbs.Handle, [][]byte, verbs.Access, []verbs.MR) (int, error)
	reregister func(verbs.Backend, verbs.Handle, verbs.Rereg) (verbs.MR, error)
	deregister func(verbs.Backend, verbs.Handle) error
	createCQ   func(verbs.Backend, uint32) (verbs.CQ, error)
	alloc      func(verbs.Backend, verbs.Handle, verbs.MWType) (verbs.MW, error)
	close      func(verbs.Backend) error
	arm        func(verbs.EventCQ) error
	poll       func(verbs.CQ, []verbs.Completion) (int, error)
	destroyCQ  func(verbs.CQ) error
	modify     func(verbs.QP, verbs.QPAttr) error
	bind       func(verbs.QP, verbs.Bind) (uint32, error)
	post       func(verbs.QP, []verbs.WR) (int, error)
	receive    func(verbs.QP, []verbs.ReceiveWR) (int, error)
	destroyQP  func(verbs.QP) error
	share      func(verbs.SRQ, []verbs.ReceiveWR) (int, error)
	destroySRQ func(verbs.SRQ) error
}

func (b broken) QueryDevice() (verbs.DeviceAttr, error) {
	if b.query != nil {
		return b.query(b.Backend)
	}
	return b.Backend.QueryDevice()
}

func (b broken) QueryPort(port uint8) (verbs.PortAttr, error) {
	if b.queryPort != nil {
		return b.queryPort(b.Backend, port)
	}
	return b.Backend.QueryPort(port)
}

func (b broken) NextEvent() (verbs.Event, bool) {
	if b.event != nil {
		return b.event(b.Backend)
	}
	return b.Backend.NextEvent()
}

func (b broken) DeallocPD(pd verbs.Handle) error {
	if b.deallocPD != nil {
		return b.deallocPD(b.Backend, pd)
	}
	return b.Backend.DeallocPD(pd)
}

func (b broken) RegisterMR(pd verbs.Handle, mem []byte, access verbs.Access) (verbs.MR, error) {
	if b.registerMR != nil {
		return b.registerMR(b.Backend, pd, mem, access)
	}
	return b.Backend.RegisterMR(pd, mem, access)
}

func (b broken) RegisterMRs(pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
	if b.several != nil {
		return b.several(b.Backend, pd, mems, access, into)
	}
	return b.Backend.RegisterMRs(pd, mems, access, into)
}

func (b broken) ReregisterMR(mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
	if b.reregister != nil {
		return b.reregister(b.Backend, mr, to)
	}
	return b.Backend.ReregisterMR(mr, to)
}

func (b broken) DeregisterMR(mr verbs.Handle) error {
	if b.deregister != nil {
		return b.deregister(b.Backend, mr)
	}
	return b.Backend.DeregisterMR(mr)
}

func (b broken) AllocMW(pd verbs.Handle, of verbs.MWType) (verbs.MW, error) {
	if b.alloc != nil {
		return b.alloc(b.Backend, pd, of)
	}
	return b.Backend.AllocMW(pd, of)
}

func (b broken) Close() error {
	if b.close != nil {
		return b.close(b.Backend)
	}
	return b.Backend.Close()
}

type brokenCQ struct {
	verbs.CQ
	*hooks
}

func (b broken) CreateCQ(entries uint32) (verbs.CQ, error) {
	create := func(b verbs.Backend, entries uint32) (verbs.CQ, error) { return b.CreateCQ(entries) }
	if b.createCQ != nil {
		create = b.createCQ
	}
	q, err := create(b.Backend, entries)
	if err != nil {
		return nil, err
	}
	return brokenCQ{q, b.hooks}, nil
}

// brokenEventCQ is the same with a channel.
type brokenEventCQ struct {
	brokenCQ
	events verbs.EventCQ
}

func (b broken) CreateEventCQ(entries uint32) (verbs.EventCQ, error) {
	q, err := b.Backend.CreateEventCQ(entries)
	if err != nil {
		return nil, err
	}
	return brokenEventCQ{brokenCQ{q, b.hooks}, q}, nil
}

func (q brokenEventCQ) EventFD() int { return q.events.EventFD() }

func (q brokenEventCQ) Arm() error {
	if q.arm != nil {
		return q.arm(q.events)
	}
	return q.events.Arm()
}

func (q brokenCQ) Poll(wc []verbs.Completion) (int, error) {
	if q.poll != nil {
		return q.poll(q.CQ, wc)
	}
	return q.CQ.Poll(wc)
}

func (q brokenCQ) Destroy() error {
	if q.destroyCQ != nil {
		return q.destroyCQ(q.CQ)
	}
	return q.CQ.Destroy()
}

type brokenQP struct {
	verbs.QP
	*hooks
}

func (b broken) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	for _, q := range []*verbs.CQ{&init.SendCQ, &init.RecvCQ} {
		switch ours := (*q).(type) {
		case brokenCQ:
			*q = ours.CQ
		case brokenEventCQ:
			*q = ours.CQ
		}
	}
	if ours, is := init.SRQ.(brokenSRQ); is {
		init.SRQ = ours.SRQ
	}
	q, err := b.Backend.CreateQP(init)
	if err != nil {
		return nil, err
	}
	return brokenQP{q, b.hooks}, nil
}

type brokenSRQ struct {
	verbs.SRQ
	*hooks
}

func (b broken) CreateSRQ(init verbs.SRQInit) (verbs.SRQ, error) {
	q, err := b.Backend.CreateSRQ(init)
	if err != nil {
		return nil, err
	}
	return brokenSRQ{q, b.hooks}, nil
}

func (q brokenSRQ) PostReceives(wrs []verbs.ReceiveWR) (int, error) {
	if q.share != nil {
		return q.share(q.SRQ, wrs)
	}
	return q.SRQ.PostReceives(wrs)
}

func (q brokenSRQ) Destroy() error {
	if q.destroySRQ != nil {
		return q.destroySRQ(q.SRQ)
	}
	return q.SRQ.Destroy()
}

func (q brokenQP) Modify(attr verbs.QPAttr) error {
	if q.modify != nil {
		return q.modify(q.QP, attr)
	}
	return q.QP.Modify(attr)
}

func (q brokenQP) BindMW(b verbs.Bind) (uint32, error) {
	if q.bind != nil {
		return q.bind(q.QP, b)
	}
	return q.QP.BindMW(b)
}

func (q brokenQP) Post(wrs []verbs.WR) (int, error) {
	if q.post != nil {
		return q.post(q.QP, wrs)
	}
	return q.QP.Post(wrs)
}

func (q brokenQP) PostReceives(wrs []verbs.ReceiveWR) (int, error) {
	if q.receive != nil {
		return q.receive(q.QP, wrs)
	}
	return q.QP.PostReceives(wrs)
}

func (q brokenQP) Destroy() error {
	if q.destroyQP != nil {
		return q.destroyQP(q.QP)
	}
	return q.QP.Destroy()
}
