package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// cardUp brings up the guest's only network card, with its address, and returns its name.
func cardUp(n proto.Network) (string, error) {
	if err := loadStage(proto.StageNetwork); err != nil {
		return "", err
	}
	card, err := findCard()
	if err != nil {
		return "", err
	}
	address, err := netlink.ParseAddr(n.Address)
	if err != nil {
		return "", err
	}
	if err := netlink.AddrAdd(card, address); err != nil {
		return "", err
	}
	return card.Attrs().Name, netlink.LinkSetUp(card)
}

// findCard waits for the card, which its driver finds asynchronously.
func findCard() (netlink.Link, error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		links, err := netlink.LinkList()
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if _, err := os.Stat(filepath.Join("/sys/class/net", l.Attrs().Name, "device")); err == nil {
				return l, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.New("the network card did not appear; the kernel needs CONFIG_VIRTIO_NET")
		}
	}
}

// introduce gives the guest its name, and its program the way to its peer.
func introduce(n proto.Network) error {
	if err := unix.Sethostname([]byte(n.Host)); err != nil {
		return fmt.Errorf("set the name of the host: %w", err)
	}
	if !n.HasPeer {
		return nil
	}
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return err
	}
	for _, path := range names {
		name, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(name)) == proto.PortPeer {
			if err := os.MkdirAll(filepath.Dir(proto.PeerDevice), 0o755); err != nil {
				return err
			}
			return os.Symlink("/dev/"+filepath.Base(filepath.Dir(path)), proto.PeerDevice)
		}
	}
	return errors.New("the port of the peer did not appear")
}
