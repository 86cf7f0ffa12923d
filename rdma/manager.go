package rdma

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"umemstress/rdma/internal/ibverbs"
	"umemstress/rdma/internal/verbs"
)

// Manager connects queue pairs of one context through the connection manager: rdma-core's librdmacm, which finds the device
// of an IP address and speaks with the manager of the other end. Devices of iWARP can be connected in no other way. It
// needs the means to load a library ([CanLoad]), whichever backend the context has, and the kernel's module rdma_ucm, which
// the library has loaded if the process may. The library keeps the device open, for itself, until the process ends.
//
// One end listens and accepts as many connections as the other one dials, in the same order.
type Manager struct {
	object *object
	path   Path
	local  netip.Addr // of the device's port, with its netdev's index as the zone if it is of a link

	mu        sync.Mutex // held while a connection is made
	inner     *ibverbs.Manager
	listening *ibverbs.ID // nil: nobody listens
	token     []byte      // of who may connect

	// A connection has to stay open for as long as its queue pair is in use.
	madeMu sync.Mutex
	made   map[*QP]*ibverbs.ID
}

// Meeting is where an end listens, for the other one to dial.
type Meeting struct {
	Address netip.AddrPort `json:"address"`
	Token   []byte         `json:"token"` // without which nobody is let in
}

// tokenBytes is the length of a token.
const tokenBytes = 16

// How connections are made. A peer that is under an emulator may take seconds.
const (
	managerBound   = 20 * time.Second // for one connection, by either end
	managerBacklog = 128
)

// NewManager opens the connection manager for queue pairs that go by that path.
func (c *Context) NewManager(path Path) (*Manager, error) {
	m := &Manager{path: path, made: map[*QP]*ibverbs.ID{}}
	what := "connection manager of device " + c.device.Name
	o, err := c.create(label{text: what}, nil, m.destroy, func() (err error) {
		if m.inner, err = ibverbs.OpenManager(); err != nil {
			return newManagerError(what, err)
		}
		if m.local, err = m.find(c.device.Name); err != nil {
			return errors.Join(err, m.inner.Close())
		}
		return nil
	})
	m.object = o
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Local is the IP address that connections are made from, and to.
func (m *Manager) Local() netip.Addr { return m.local }

// Listen has the other end dial, at a port that the kernel chooses.
func (m *Manager) Listen() (Meeting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what := fmt.Sprintf("connection manager at %v", m.local)
	if m.inner == nil {
		return Meeting{}, closedError("listen with", what)
	}
	if m.listening != nil {
		return Meeting{}, &Error{Op: "listen with", Object: what, reason: errors.New("it listens already")}
	}
	token := make([]byte, tokenBytes)
	_, _ = rand.Read(token) // never fails
	id, err := m.inner.Bind(netip.AddrPortFrom(m.local, 0))
	if err != nil {
		return Meeting{}, newError("listen with", what, err)
	}
	port, err := id.Listen(managerBacklog)
	if err != nil {
		return Meeting{}, errors.Join(newError("listen with", what, err), id.Close())
	}
	m.listening, m.token = id, token
	return Meeting{Address: netip.AddrPortFrom(m.local.WithZone(""), port), Token: token}, nil
}

// StopListening has nobody else dial. What was accepted stays.
func (m *Manager) StopListening() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.listening
	m.listening = nil
	if id == nil {
		return nil
	}
	return id.Close()
}

// Accept connects a queue pair with the next that is dialled, and returns once it can be sent from. Of the path, the MTU
// counts: the other end has the same.
func (m *Manager) Accept(ctx context.Context, qp *QP, path Path) error {
	return m.connect(ctx, qp, m.local.String(), func(stop ibverbs.Stop) (*ibverbs.ID, error) {
		if m.listening == nil {
			return nil, errors.New("it does not listen")
		}
		for {
			r, err := m.listening.Request(stop)
			if err != nil {
				return nil, err
			}
			if !bytes.HasPrefix(r.Private, m.token) { // another host's, or of an earlier run
				if err := r.Reject(); err != nil {
					return nil, err
				}
				continue
			}
			return r.ID, m.accept(stop, r, qp, path)
		}
	})
}

// Dial connects a queue pair with one of an end that listens. Of the path, the MTU counts.
func (m *Manager) Dial(ctx context.Context, qp *QP, to Meeting, path Path) error {
	return m.connect(ctx, qp, to.Address.String(), func(stop ibverbs.Stop) (*ibverbs.ID, error) {
		if !to.Address.IsValid() || len(to.Token) != tokenBytes {
			return nil, errors.New("the other end does not listen")
		}
		there := netip.AddrPortFrom(to.Address.Addr().WithZone(m.local.Zone()), to.Address.Port())
		id, err := m.inner.Resolve(stop, netip.AddrPortFrom(m.local, 0), there, m.path.TrafficClass)
		if err != nil {
			return nil, err
		}
		return id, m.dial(stop, id, qp, to.Token, path)
	})
}

// connect has a connection made, within its time, and keeps it.
func (m *Manager) connect(ctx context.Context, qp *QP, with string, made func(ibverbs.Stop) (*ibverbs.ID, error)) error {
	what := fmt.Sprintf("queue pair %d with %s by the connection manager", qp.address.QPN, with)
	c := m.object.ctx
	switch {
	case qp.object.ctx != c:
		return &Error{Op: "connect", Object: what, reason: errors.New("it is of another context")}
	case qp.config.Type != RC:
		return &Error{Op: "connect", Object: what, reason: fmt.Errorf("it is of type %v, and has to be RC", qp.config.Type)}
	case !c.enter():
		return closedError("connect", what)
	}
	defer c.leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inner == nil {
		return closedError("connect", what)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, managerBound, errNoAnswer)
	defer cancel()
	id, err := made(func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	})
	if err != nil {
		if id != nil {
			err = errors.Join(err, id.Close())
		}
		return newMeetError(what, err)
	}
	m.madeMu.Lock()
	m.made[qp] = id
	m.madeMu.Unlock()
	qp.mu.Lock()
	qp.manager = m
	ibverbs.LeaveToConnection(qp.pair)
	qp.mu.Unlock()
	c.mu.Lock()
	c.told.use(m.path.Port)
	c.mu.Unlock()
	return nil
}

// errNoAnswer is of an end that says nothing.
var errNoAnswer = fmt.Errorf("the other end has not answered for %v", managerBound)

// param is what both ends bring into a connection.
func (qp *QP) param(private []byte) ibverbs.Param {
	return ibverbs.Param{QPN: qp.address.QPN, Reads: min(qp.reads, qp.address.Reads), RetryCount: retryCount, RNRRetry: rnrRetry, Private: private}
}

func (m *Manager) dial(stop ibverbs.Stop, id *ibverbs.ID, qp *QP, token []byte, path Path) error {
	if err := m.change(id, qp, path, verbs.Init); err != nil {
		return err
	}
	answered, err := id.Connect(stop, qp.param(token))
	if err != nil || !answered {
		return err
	}
	if err := m.change(id, qp, path, verbs.ReadyToRecv, verbs.ReadyToSend); err != nil {
		return err
	}
	return id.Establish()
}

func (m *Manager) accept(stop ibverbs.Stop, r *ibverbs.Request, qp *QP, path Path) error {
	if err := m.change(r.ID, qp, path, verbs.Init, verbs.ReadyToRecv, verbs.ReadyToSend); err != nil {
		return err
	}
	param := qp.param(nil)
	param.Reads = min(param.Reads, r.Reads)
	return r.Accept(stop, param)
}

// change takes a queue pair through states of the manager's choice. What both ways of connecting can choose, they do alike.
func (m *Manager) change(id *ibverbs.ID, qp *QP, path Path, states ...verbs.QPState) error {
	device := m.object.ctx.device.Name
	if name, port := id.Device(); name != device || int(port) != m.path.Port {
		return fmt.Errorf("the way there is by port %d of device %q, not by port %d of %s", port, name, m.path.Port, device)
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return ErrClosed
	}
	for _, state := range states {
		attr, err := id.Attr(state)
		if err != nil {
			return err
		}
		if attr.Mask == 0 { // iWARP's are changed by the connection itself
			continue
		}
		qp.adjust(&attr, path)
		if err := qp.pair.Modify(attr); err != nil {
			return err
		}
	}
	return nil
}

// adjust sets what the manager does not know of: what the peer may do, and how long it is waited for.
func (qp *QP) adjust(attr *verbs.QPAttr, path Path) {
	attr.Access |= verbs.AccessLocalWrite | verbs.AccessRemoteWrite | verbs.AccessRemoteRead
	if qp.config.Atomics {
		attr.Access |= verbs.AccessRemoteAtomic
	}
	if mtu, ok := verbs.MTUOf(path.MTU); ok {
		attr.PathMTU = min(attr.PathMTU, mtu)
	}
	attr.Timeout, attr.MinRNRTimer = path.timeout(), minRNRTimer
	attr.MaxRDAtomic, attr.MaxDestRDAtomic = min(attr.MaxRDAtomic, qp.reads), min(attr.MaxDestRDAtomic, qp.address.Reads)
}

// forget ends the connection of a queue pair, if there is one.
func (m *Manager) forget(qp *QP) error {
	m.madeMu.Lock()
	defer m.madeMu.Unlock()
	id := m.made[qp]
	delete(m.made, qp)
	if id == nil {
		return nil
	}
	return id.Close()
}

// Close ends it, with all connections: queue pairs that are connected with it are of no more use.
func (m *Manager) Close() error { return m.object.close() }

func (m *Manager) destroy() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.madeMu.Lock()
	defer m.madeMu.Unlock()
	var errs []error
	for _, id := range m.made {
		errs = append(errs, id.Close())
	}
	if m.listening != nil {
		errs = append(errs, m.listening.Close())
	}
	errs = append(errs, m.inner.Close())
	m.made, m.listening, m.inner = nil, nil, nil
	return errors.Join(errs...)
}
