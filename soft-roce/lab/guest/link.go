package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"umemstress/soft-roce/lab/internal/proto"
)

const (
	deviceName = "rxe0"
	netdevName = "veth0"
	netdevPeer = "veth1"
)

// netdevMTU has room for RoCE's greatest MTU of 4096 bytes. With 1500 it would be
// 1024, and four packets to process in place of one.
const netdevMTU = 9000

// netdevAddr gives the port a GID of type RoCE v2 over IPv4. The network exists
// in the guest only.
func netdevAddr() *net.IPNet {
	return &net.IPNet{IP: net.IPv4(10, 77, 0, 1), Mask: net.CIDRMask(24, 32)}
}

// linkUp creates rxe0 over a veth pair and waits until its port is ACTIVE.
func linkUp() error {
	if err := loadStage(proto.StageDevice); err != nil {
		return err
	}
	// An IPv6 address is tentative for a second otherwise, and the GID of the
	// link-local address appears only after that. No IPv6, no such file.
	err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: netdevName}, PeerName: netdevPeer}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("create %s: %w", netdevName, err)
	}
	for _, name := range []string{"lo", netdevPeer, netdevName} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if name != "lo" {
			if err := netlink.LinkSetMTU(link, netdevMTU); err != nil {
				return fmt.Errorf("set the MTU of %s: %w", name, err)
			}
		}
		if name == netdevName {
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: netdevAddr()}); err != nil {
				return fmt.Errorf("set the address of %s: %w", name, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	if err := netlink.RdmaLinkAdd(deviceName, "rxe", netdevName); err != nil {
		return fmt.Errorf("create %s over %s: %w", deviceName, netdevName, err)
	}
	return waitActive("/sys", deviceName, 10*time.Second)
}

// waitActive waits until port 1 of an RDMA device is ACTIVE.
func waitActive(sys, device string, limit time.Duration) error {
	path := filepath.Join(sys, "class/infiniband", device, "ports/1/state")
	deadline := time.Now().Add(limit)
	for {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		state := strings.TrimSpace(string(raw))
		if strings.HasSuffix(state, ": ACTIVE") {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("port 1 of %s is not ACTIVE but %q after %s", device, state, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
