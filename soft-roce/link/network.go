package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	ownAlias  = "umemstress"
	ownPrefix = "ums"
	maxPairs  = 64

	// pairMTU has room for RoCE's greatest MTU of 4096 bytes; the usual 1500 makes
	// it 1024, and four packets in place of one.
	pairMTU = 9000
)

// network is the caller's network namespace.
type network struct {
	handle *netlink.Handle
	log    logrus.FieldLogger
}

// newNetwork tells of what is done to it to log; nil: logrus's own logger.
func newNetwork(log logrus.FieldLogger) (*network, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	if log == nil {
		log = logrus.StandardLogger()
	}
	return &network{h, log}, nil
}

func (n *network) close() { n.handle.Close() }

// pair is a veth pair of our own; the link goes over the first.
type pair struct{ first, second string }

// pairAt is the k-th pair: ums0 and ums1, ums2 and ums3, and so on.
func pairAt(k int) pair {
	return pair{fmt.Sprint(ownPrefix, 2*k), fmt.Sprint(ownPrefix, 2*k+1)}
}

// addrAt is the address of the first netdev of the k-th pair, out of the
// link-local block, in a subnet of its own that leads nowhere.
func addrAt(k int) *netlink.Addr {
	ip := net.IPv4(169, 254, 77, byte(4*(k%maxPairs)+1))
	return &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(30, 32)}}
}

// addPair makes the first pair whose names are free, up and with an address.
func (n *network) addPair() (pair, error) {
	for k := range maxPairs {
		p := pairAt(k)
		err := n.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: p.first}, PeerName: p.second})
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return pair{}, err
		}
		if err := n.setUpPair(p, addrAt(k), ownAlias); err != nil {
			return pair{}, errors.Join(err, n.removePair(p.first))
		}
		return p, nil
	}
	return pair{}, fmt.Errorf("all of %s0 to %s%d exist", ownPrefix, ownPrefix, 2*maxPairs-1)
}

// setUpPair marks the pair first, so that whatever happens next it is known as
// ours. An empty alias leaves it unmarked.
func (n *network) setUpPair(p pair, addr *netlink.Addr, alias string) error {
	var devs []netlink.Link
	for _, name := range []string{p.first, p.second} {
		dev, err := n.handle.LinkByName(name)
		if err != nil {
			return err
		}
		if alias != "" {
			if err := n.handle.LinkSetAlias(dev, alias); err != nil {
				return err
			}
		}
		devs = append(devs, dev)
	}
	for _, dev := range devs {
		if err := errors.Join(n.handle.LinkSetMTU(dev, pairMTU), n.handle.LinkSetUp(dev)); err != nil {
			return err
		}
	}
	return n.handle.AddrAdd(devs[0], addr)
}

// Pair is a veth pair that somebody else than [Up] wants, under names of his own. Down
// does not know it, and leaves it.
type Pair struct {
	First, Second string
	Addr          netip.Prefix // of the first
}

// Make makes the pair, up and fit for a link over its first netdev.
func (p Pair) Make() error {
	object := "veth pair " + p.First + ", " + p.Second
	n, err := newNetwork(nil)
	if err != nil {
		return &Error{Op: "create", Object: object, Err: err}
	}
	defer n.close()
	err = n.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: p.First}, PeerName: p.Second})
	if err != nil {
		return newError("create", object, err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr.Addr().AsSlice(), Mask: net.CIDRMask(p.Addr.Bits(), p.Addr.Addr().BitLen())}}
	if err := n.setUpPair(pair{p.First, p.Second}, addr, ""); err != nil {
		return newError("set up", object, errors.Join(err, n.removePair(p.First)))
	}
	return nil
}

// removePair removes both ends by one of them.
func (n *network) removePair(name string) error {
	dev, err := n.handle.LinkByName(name)
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.handle.LinkDel(dev)
}

func isOwn(dev netlink.Link) bool {
	return dev.Type() == "veth" && dev.Attrs().Alias == ownAlias
}

// ownPairs maps each netdev of our pairs to its peer.
func (n *network) ownPairs() (map[string]string, error) {
	devs, err := n.handle.LinkList()
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, dev := range devs {
		if isOwn(dev) {
			names[dev.Attrs().Index] = dev.Attrs().Name
		}
	}
	own := map[string]string{}
	for _, dev := range devs {
		if isOwn(dev) {
			// The parent of a veth is its peer.
			own[dev.Attrs().Name] = names[dev.Attrs().ParentIndex]
		}
	}
	return own, nil
}

// bringUp brings a netdev up and says whether it was down.
func (n *network) bringUp(name string) (wasDown bool, err error) {
	dev, err := n.handle.LinkByName(name)
	if err != nil {
		return false, err
	}
	if dev.Attrs().Flags&net.FlagUp != 0 {
		return false, nil
	}
	return true, n.handle.LinkSetUp(dev)
}

func (n *network) bringDown(name string) error {
	dev, err := n.handle.LinkByName(name)
	if err != nil {
		return err
	}
	return n.handle.LinkSetDown(dev)
}
