//go:build guest

package softroce_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/rdma"
	"umemstress/rdma/internal/softroce"
	"umemstress/rdma/internal/verbs"
	"umemstress/rdma/internal/verbs/verbstest"
)

// The tests with the build tag guest need a soft-RoCE device and root. Run them
// in the lab:
//
//	go test -c -tags guest -o /tmp/softroce.test ./rdma/internal/softroce
//	umemstress lab exec --kernel 5.10 -- /tmp/softroce.test -test.v -expect-pin=granted

var expectPin = flag.String("expect-pin", "", "what this kernel does with pins of ext4 files: granted or refused")

func TestConformance(t *testing.T) {
	if *expectPin != "granted" && *expectPin != "refused" {
		t.Fatal("give -expect-pin=granted or -expect-pin=refused, as is right for this kernel")
	}
	d, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	path := findPath(t, d)
	mtu, _ := verbs.MTUOf(path.MTU)
	verbstest.Run(t, verbstest.Target{
		Open:      opener(d),
		AH:        verbs.AH{DGID: path.GID.Addr.As16(), SGIDIndex: uint8(path.GID.Index), HopLimit: 64, Port: uint8(path.Port)},
		MTU:       mtu,
		Held:      held,
		File:      mappedFile(t, 64<<10),
		Refused:   *expectPin == "refused",
		Removable: removable,
	})
}

func opener(d rdma.Device) func() (verbs.Backend, error) {
	return func() (verbs.Backend, error) { return softroce.Open(filepath.Join("/dev/infiniband", d.Uverbs)) }
}

func findPath(t *testing.T, d rdma.Device) rdma.Path {
	t.Helper()
	ctx, err := rdma.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.Close()
	path, err := ctx.Path(rdma.PathConfig{GIDIndex: rdma.AutoGID})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// held counts what the kernel holds for all users of all devices, and this
// process's mappings of queues.
func held() (int, error) {
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

// mappedFile is a file of n bytes, written out, and its shared mapping.
func mappedFile(t *testing.T, n int) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}

// removable makes a link over a veth pair of its own.
func removable(t testing.TB) (open func() (verbs.Backend, error), remove func() <-chan error) {
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
	var d rdma.Device
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if d, err = rdma.FindDevice("/sys", link); err == nil && d.Active() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not active: %v", link, err)
		}
	}
	return opener(d), func() <-chan error {
		gone := make(chan error, 1)
		// Deleting waits for the users of the device.
		go func() { gone <- exec.Command("rdma", "link", "delete", link).Run() }()
		return gone
	}
}
