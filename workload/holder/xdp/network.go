package xdp

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
)

// The netdevs, in a network namespace of their own, where no others are.
const (
	senderName   = "sender"
	receiverName = "receiver"
)

// network is a pair of netdevs: what is sent at one end, a program of XDP passes on to a socket at the
// other. The namespace that they are in lives as long as the sockets, and goes with this process.
type network struct {
	packets  *os.File // a socket that sends
	address  *unix.SockaddrLinklayer
	frame    []byte // of the packet under way
	receiver int    // its index

	sockets *ebpf.Map // the program's, by queue
	program *ebpf.Program
	link    link.Link
}

// connect makes a network, and a socket to receive in it.
func connect() (n *network, s *socket, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		here, failed := os.Open("/proc/thread-self/ns/net")
		if failed != nil {
			runtime.UnlockOSThread()
			err = failed
			return
		}
		defer here.Close()
		n, s, err = connectHere()
		// A thread that could not come back ends with this goroutine.
		if unix.Setns(int(here.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return n, s, err
}

// connectHere does so in a new namespace, which this thread is moved to.
func connectHere() (*network, *socket, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		return nil, nil, fault.Lacksf("make a network namespace (unshare): %w; it takes root, or CAP_SYS_ADMIN", err)
	} else if err != nil {
		return nil, nil, fmt.Errorf("make a network namespace (unshare): %w; boot a kernel that has them (CONFIG_NET_NS)", err)
	}
	s, err := newSocket()
	if err != nil {
		return nil, nil, err
	}
	n := &network{}
	if err := n.makePair(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pair of netdevs (veth): %w", err), n.Close(), s.Close())
	}
	if err := unlimited(n.attach); err != nil {
		return nil, nil, errors.Join(err, n.Close(), s.Close())
	}
	return n, s, nil
}

// makePair makes the netdevs, and a socket that sends at one of them.
func (n *network) makePair() error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: senderName, MTU: payloadBytes}, PeerName: receiverName}); err != nil {
		return err
	}
	index := map[string]int{}
	for _, name := range []string{senderName, receiverName} {
		dev, err := handle.LinkByName(name)
		if err != nil {
			return err
		}
		if err := errors.Join(handle.LinkSetMTU(dev, payloadBytes), handle.LinkSetUp(dev)); err != nil {
			return err
		}
		index[name] = dev.Attrs().Index
	}
	n.receiver = index[receiverName]
	n.address = &unix.SockaddrLinklayer{Ifindex: index[senderName], Protocol: networkOrder(etherType)}
	n.frame = newFrame()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // of no protocol: it receives nothing
	if err != nil {
		return fmt.Errorf("socket(AF_PACKET): %w", err)
	}
	n.packets = os.NewFile(uintptr(fd), "AF_PACKET")
	return nil
}

// unlimited calls what makes objects of BPF, and if that is not permitted, once more with no limit on
// locked memory: before Linux 5.11 they are charged to it, with those of others.
func unlimited(create func() error) error {
	err := create()
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	var old unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, &old) != nil {
		return fault.Lacksf("%w; it takes root, or CAP_BPF and CAP_NET_ADMIN", err)
	}
	defer unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil)
	return create()
}

// attach has the program pass on what arrives. It runs on any netdev (generic XDP).
func (n *network) attach() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, n.disconnect())
		}
	}()
	if n.sockets, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
		return fmt.Errorf("make a map of AF_XDP sockets: %w", err)
	}
	if n.program, err = ebpf.NewProgram(passOn(n.sockets)); err != nil {
		return fmt.Errorf("load a program of XDP: %w", err)
	}
	if n.link, err = link.AttachXDP(link.XDPOptions{Program: n.program, Interface: n.receiver, Flags: link.XDPGenericMode}); err != nil {
		return fmt.Errorf("attach a program of XDP to a netdev: %w", err)
	}
	return nil
}

// deliverTo binds the socket, which has a umem, and has the program pass packets on to it.
func (n *network) deliverTo(s *socket) error {
	if err := s.bind(n.receiver); err != nil {
		return err
	}
	if err := n.sockets.Put(uint32(0), uint32(s.file.Fd())); err != nil {
		return fmt.Errorf("put a socket into the map of AF_XDP sockets: %w", err)
	}
	return nil
}

// send sends a packet with that payload.
func (n *network) send(payload []byte) error {
	frame := append(n.frame[:headerBytes], payload...)
	err := file.Again(func() error { return unix.Sendto(int(n.packets.Fd()), frame, 0, n.address) })
	if err != nil {
		return fmt.Errorf("send a packet of %d bytes: %w", len(frame), err)
	}
	return nil
}

// disconnect gives up what passes packets on.
func (n *network) disconnect() error {
	var errs []error
	if n.link != nil {
		errs = append(errs, n.link.Close())
	}
	if n.program != nil {
		errs = append(errs, n.program.Close())
	}
	if n.sockets != nil {
		errs = append(errs, n.sockets.Close())
	}
	n.link, n.program, n.sockets = nil, nil, nil
	return errors.Join(errs...)
}

// Close gives the network up: once no socket is in the namespace, the kernel takes away what is there.
func (n *network) Close() error {
	if n == nil {
		return nil
	}
	err := n.disconnect()
	if n.packets != nil {
		err = errors.Join(err, n.packets.Close())
	}
	n.packets = nil
	return err
}
