//go:build guest

package rdma

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
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
	gid := path.GID.Addr.As16()
	for _, backend := range []Backend{Uverbs, IBVerbs} {
		t.Run(string(backend), func(t *testing.T) {
			verbstest.Run(t, verbstest.Target{
				Open:       opener(d, backend),
				AH:         verbs.AH{Global: true, DGID: gid, SGID: gid, DMAC: ownMAC(path), SGIDIndex: uint8(path.GID.Index), HopLimit: 64, Port: uint8(path.Port)},
				MTU:        mtu,
				Held:       objects,
				File:       mappedFile(t, 64<<10),
				Refused:    *expectPin == "refused",
				Windowless: !rxeHas(t, "rxe_alloc_mw"), LooseWindows: true, FragileWindows: true,
				Fixed: !reregisters(t, backend), FixedMemory: true,
				Removable: func(t testing.TB) (func() (verbs.Backend, error), func() <-chan error) { return removable(t, backend) },
				Switched:  func(t testing.TB) (func() (verbs.Backend, error), func(bool) error) { return switched(t, backend) },
			})
		})
	}
}

// rxeHas says whether the kernel's rdma_rxe has a function.
func rxeHas(t *testing.T, function string) bool {
	t.Helper()
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(symbols, []byte(" "+function+"\t[rdma_rxe]"))
}

// reregisters says whether regions are re-registered, which rdma_rxe and its provider both have to do.
func reregisters(t *testing.T, backend Backend) bool {
	t.Helper()
	kernel := rxeHas(t, "rxe_rereg_user_mr")
	if backend == Uverbs {
		return kernel
	}
	found, err := filepath.Glob("/usr/lib/*/libibverbs/librxe-rdmav*.so")
	if err != nil || len(found) != 1 {
		t.Fatalf("rdma_rxe's providers are %q, %v; want one", found, err)
	}
	provider, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return kernel && bytes.Contains(provider, []byte("ibv_cmd_rereg_mr"))
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
			case "pd", "cq", "qp", "mr", "srq":
				n += count
			}
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	return int(n) + bytes.Count(maps, []byte("/dev/infiniband/uverbs")), err
}

// removable makes a device to be removed, over a veth pair of its own.
func removable(t testing.TB, backend Backend) (open func() (verbs.Backend, error), remove func() <-chan error) {
	const link = "rxeconf"
	d := newLink(t, link, "umscf0")
	return opener(d, backend), func() <-chan error {
		gone := make(chan error, 1)
		// Deleting waits for the users of the device.
		go func() { gone <- exec.Command("rdma", "link", "delete", link).Run() }()
		return gone
	}
}

// switched makes a device whose port follows its netdev.
func switched(t testing.TB, backend Backend) (open func() (verbs.Backend, error), set func(up bool) error) {
	const link, netdev = "rxeport", "umspt0"
	d := newLink(t, link, netdev)
	t.Cleanup(func() {
		if err := netlink.RdmaLinkDel(link); err != nil {
			t.Error(err)
		}
	})
	return opener(d, backend), func(up bool) error {
		l, err := netlink.LinkByName(netdev)
		switch {
		case err != nil:
			return err
		case up:
			return netlink.LinkSetUp(l)
		}
		return netlink.LinkSetDown(l)
	}
}

// newLink makes a device over a veth pair of its own, and waits until its port is active. The pair goes with the test.
func newLink(t testing.TB, link, netdev string) Device {
	t.Helper()
	peer := netdev + "p"
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
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d, err := FindDevice("/sys", link)
		if err == nil && d.Active() {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not active: %v", link, err)
		}
	}
}
