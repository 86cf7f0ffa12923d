package guest

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/link"
)

// linkUp makes the link rxe0 and waits until its port is ACTIVE: over the card that leads to
// another guest, or over a veth pair. Its address gives the port a GID of type RoCE v2 over IPv4; the
// pair's network exists in the guest only, and it is none that 'umemstress soft-roce down' would take away.
func linkUp(n *proto.Network) error {
	if err := loadStage(proto.StageDevice); err != nil {
		return err
	}
	// An IPv6 address is tentative for a second otherwise, and the GID of the
	// link-local address appears only after that. No IPv6, no such file.
	err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if n != nil {
		dev, err := cardUp(*n)
		if err != nil {
			return err
		}
		return link.Add(context.Background(), link.Config{Name: link.DefaultName, NetDev: dev})
	}
	pair := link.Pair{First: "veth0", Second: "veth1", Addr: netip.MustParsePrefix("10.77.0.1/24")}
	if err := pair.Make(); err != nil {
		return err
	}
	return link.Add(context.Background(), link.Config{Name: link.DefaultName, NetDev: pair.First})
}
