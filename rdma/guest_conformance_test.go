//go:build guest

package rdma

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"umemstress/rdma/internal/verbs"
	"umemstress/rdma/internal/verbs/verbstest"
)

// Every backend keeps the contract of package verbs, on a soft-RoCE device.
func TestConformance(t *testing.T) {
	if *expectPin != "granted" && *expectPin != "refused" {
		t.Fatal("give -expect-pin=granted or -expect-pin=refused, as is right for this kernel")
	}
	d, err := FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	path, err := openDevice(t).Path(PathConfig{GIDIndex: AutoGID})
	if err != nil {
		t.Fatal(err)
	}
	mtu, _ := verbs.MTUOf(path.MTU)
	for _, backend := range []Backend{Uverbs, IBVerbs} {
		t.Run(string(backend), func(t *testing.T) {
			verbstest.Run(t, verbstest.Target{
				Open:      opener(d, backend),
				AH:        verbs.AH{Global: true, DGID: path.GID.Addr.As16(), SGIDIndex: uint8(path.GID.Index), HopLimit: 64, Port: uint8(path.Port)},
				MTU:       mtu,
				Held:      objects,
				File:      mappedFile(t, 64<<10),
				Refused:   *expectPin == "refused",
				Removable: func(t testing.TB) (func() (verbs.Backend, error), func() <-chan error) { return removable(t, backend) },
			})
		})
	}
}

func opener(d Device, backend Backend) func() (verbs.Backend, error) {
	return func() (verbs.Backend, error) { return openBackend(d, backend) }
}

// objects counts what the kernel holds for all users of all devices, and this
// process's mappings of queues.
func objects() (int, error) {
	list, err := netlink.RdmaResourceList()
	if err != nil {
		return 0, err
	}
	n := uint64(0)
	for _, device := range list {
		for kind, count := range device.RdmaResourceSummaryEntries {
			switch strings.TrimRight(kind, "\x00") {
			case "pd", "cq", "qp", "mr":
				n += count
			}
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	return int(n) + bytes.Count(maps, []byte("/dev/infiniband/uverbs")), err
}

// removable makes a device to be removed, over a veth pair of its own.
func removable(t testing.TB, backend Backend) (open func() (verbs.Backend, error), remove func() <-chan error) {
	const link, netdev, peer = "rxeconf", "umscf0", "umscf1"
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: netdev}, PeerName: peer}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(veth); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{netdev, peer} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.RdmaLinkAdd(link, "rxe", netdev); err != nil {
		t.Fatal(err)
	}
	var d Device
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if d, err = FindDevice("/sys", link); err == nil && d.Active() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not active: %v", link, err)
		}
	}
	return opener(d, backend), func() <-chan error {
		gone := make(chan error, 1)
		// Deleting waits for the users of the device.
		go func() { gone <- exec.Command("rdma", "link", "delete", link).Run() }()
		return gone
	}
}
