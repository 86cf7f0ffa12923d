package ibverbs

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Manager is an event channel of librdmacm, by which connections are asked for and accepted. It is used by one goroutine at
// a time. The queue pairs are others': what it knows of one is its number, and what to change it to.
type Manager struct {
	library *managing
	channel uintptr // of its struct rdma_event_channel
	pending []*Request
}

// OpenManager opens a channel. An error is an errno, or one of ErrLibrary, ErrManager and ErrStatic.
func OpenManager() (*Manager, error) {
	l, err := loadManager()
	if err != nil {
		return nil, err
	}
	channel, err := l.make(l.createEventChannel)
	if err != nil {
		return nil, err
	}
	m := &Manager{library: l, channel: channel}
	if err := unix.SetNonblock(m.fd(), true); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close ends the channel, whose IDs were closed before, and rejects who has not been answered.
func (m *Manager) Close() error {
	var errs []error
	for _, r := range m.pending {
		errs = append(errs, r.Reject())
	}
	callC(m.library.destroyEventChannel, m.channel)
	return errors.Join(errs...)
}

func (m *Manager) fd() int { return int(at[eventChannel](m.channel).FD) }

// ID is a struct rdma_cm_id: who listens, or one end of a connection.
type ID struct {
	manager *Manager
	address uintptr
}

// Bind makes an ID that has a local address, and so a device.
func (m *Manager) Bind(local netip.AddrPort) (*ID, error) {
	id, err := m.newID()
	if err != nil {
		return nil, err
	}
	lendAddress(local, func(a uintptr) { err = m.library.do(m.library.bindAddr, id.address, a) })
	if err != nil {
		return nil, errors.Join(err, id.Close())
	}
	return id, nil
}

func (m *Manager) newID() (*ID, error) {
	const noContext = 0
	var address uintptr
	var err error
	lend(&address, func(out uintptr) { err = m.library.do(m.library.createID, m.channel, out, noContext, portSpaceTCP) })
	if err != nil {
		return nil, err
	}
	if at[cmID](address).Channel != m.channel {
		return nil, unix.EPROTO // not destroyed: who knows what it is
	}
	return &ID{manager: m, address: address}, nil
}

// Device is the one that the ID's address is of, and the port; empty: of none. It is opened by librdmacm
// itself, so that its name is all that the two have in common.
func (i *ID) Device() (name string, port uint8) {
	is := at[cmID](i.address)
	if is.Verbs == 0 {
		return "", 0
	}
	return unix.ByteSliceToString(at[device](at[context](is.Verbs).Device).Name[:]), is.PortNum
}

// Listen has the kernel tell of who asks for a connection, and says at which port.
func (i *ID) Listen(backlog int) (port uint16, err error) {
	l := i.manager.library
	if err := l.do(l.listen, i.address, uintptr(backlog)); err != nil {
		return 0, err
	}
	return hostOrder(uint16(callC(l.getSrcPort, i.address))), nil
}

// Close ends the ID. Where it is of a connection, the other end is told, and the queue pair of a device of iWARP fails.
func (i *ID) Close() error { return i.manager.library.do(i.manager.library.destroyID, i.address) }

// event is what a struct rdma_cm_event has, of which nothing is left once it is acknowledged.
type event struct {
	id     uintptr
	kind   uint32
	status int32
	data   []byte // that came with it
	reads  uint8  // and atomics that who asks has under way, and answers
}

// Stop says why a wait is to end; nil: it goes on.
type Stop func() error

// eventPoll is how long a wait for an event asks nobody whether it is to end.
const eventPoll = 50 * time.Millisecond

// next waits for the next event of any ID.
func (m *Manager) next(stop Stop) (event, error) {
	for {
		e, status, errno := m.takeEvent()
		if status == 0 {
			return e, nil
		}
		if err := stop(); err != nil {
			return event{}, err
		}
		switch {
		case errno == unix.EINTR:
		case errno != unix.EAGAIN:
			return event{}, noSilence(errno)
		default:
			fds := [1]unix.PollFd{{Fd: int32(m.fd()), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds[:], int(eventPoll.Milliseconds())); err != nil && err != unix.EINTR {
				return event{}, err
			}
		}
	}
}

// takeEvent takes an event, and acknowledges it: closing its ID waits for that.
func (m *Manager) takeEvent() (e event, status int32, errno unix.Errno) {
	var address uintptr
	lend(&address, func(out uintptr) {
		var result uintptr
		result, errno = m.library.call(m.library.getEvent, m.channel, out)
		status = int32(result)
	})
	if status != 0 {
		return event{}, status, errno
	}
	is := at[cmEvent](address)
	e = event{id: is.ID, kind: is.Event, status: is.Status}
	if is.Event == cmConnectRequest {
		e.reads = min(is.Conn.ResponderResources, is.Conn.InitiatorDepth)
	}
	if is.Event == cmConnectRequest && is.Conn.PrivateData != 0 {
		e.data = append(e.data, at[[maxPrivate]byte](is.Conn.PrivateData)[:is.Conn.PrivateDataLen]...)
	}
	callC(m.library.ackEvent, address)
	return e, 0, 0
}

// maxPrivate is what the length of private data can say.
const maxPrivate = 255

// await waits for one of two events of the ID. Who asks for a connection meanwhile is kept for later, and what is told of
// other IDs is for those who use their connections to find out.
func (i *ID) await(stop Stop, wanted ...uint32) (uint32, error) {
	for {
		e, err := i.manager.next(stop)
		if err != nil {
			return 0, err
		}
		if e.kind == cmConnectRequest {
			i.manager.pending = append(i.manager.pending, i.manager.request(e))
			continue
		}
		if e.id != i.address {
			continue
		}
		if slices.Contains(wanted, e.kind) {
			return e.kind, nil
		}
		return 0, &ManagerError{Event: e.kind, Status: e.status}
	}
}
