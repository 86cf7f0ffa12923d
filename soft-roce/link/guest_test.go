//go:build guest

package link

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/vishvananda/netlink"

	"umemstress/rdma"
	"umemstress/soft-roce/leaktest"
)

// The tests with the build tag guest need root and rdma_rxe. Run them in the lab:
//
//	go test -c -tags guest -o /tmp/link.test ./soft-roce/link
//	umemstress lab exec -- /tmp/link.test -test.v

const testName = "rxetest"

// hostState lists netdevs and links: a test must leave both as they were.
func hostState(t *testing.T) []string {
	t.Helper()
	devs, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range devs {
		names = append(names, "netdev "+d.Attrs().Name+" "+d.Attrs().Flags.String())
	}
	devices, err := rdma.Devices(sysfs)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		names = append(names, "link "+d.Name)
	}
	slices.Sort(names)
	return names
}

func leavesNothing(t *testing.T) {
	t.Helper()
	before := hostState(t)
	t.Cleanup(func() {
		if after := hostState(t); !slices.Equal(before, after) {
			t.Errorf("left behind: had %v, has %v", before, after)
		}
	})
}

func TestUpAndDownOverOwnPair(t *testing.T) {
	leavesNothing(t)
	log, told := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	l, err := Up(t.Context(), Config{Name: testName, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if last := told.LastEntry(); last == nil || last.Message != "made the link "+testName+" over "+l.NetDev {
		t.Errorf("told %+v", last)
	}
	if l.Name != testName || !l.Own || l.State != rdma.PortActive || !strings.HasPrefix(l.NetDev, ownPrefix) {
		t.Errorf("%+v", l)
	}
	links, err := List()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(links, func(x Link) bool { return x.Name == testName && x.Own && x.State == rdma.PortActive }) {
		t.Errorf("not listed as ours: %+v", links)
	}
	isUsable(t)
	removed, err := Down(Config{Log: log})
	if last := told.LastEntry(); last == nil || last.Message != "removed the veth pair of "+l.NetDev {
		t.Errorf("told %+v", last)
	}
	if err != nil || !slices.Equal(removed, []string{testName}) {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// isUsable finds an address of RoCE v2 over IPv4 and connects over it.
func isUsable(t *testing.T) {
	t.Helper()
	d, err := rdma.FindDevice(sysfs, testName)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rdma.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	path, err := c.Path(rdma.PathConfig{GIDIndex: rdma.AutoGID})
	if err != nil {
		t.Fatal(err)
	}
	if !path.GID.Addr.Is4In6() {
		t.Errorf("the path's GID is %v", path.GID)
	}
	if path.MTU != 4096 {
		t.Errorf("the path's MTU is %d", path.MTU)
	}
	pd, err := c.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := c.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*rdma.QP
	for i := range ends {
		if ends[i], err = pd.CreateQP(rdma.QPConfig{SendCQ: cq}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdma.ConnectLoopback(ends[0], ends[1], path); err != nil {
		t.Error(err)
	}
}

func TestSeveralLinksAtOnce(t *testing.T) {
	leavesNothing(t)
	names := []string{testName, testName + "2", testName + "3"}
	for _, name := range names {
		if _, err := Up(t.Context(), Config{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := Down(Config{Name: names[1]}); err != nil || !slices.Equal(removed, names[1:2]) {
		t.Errorf("removed %v, %v", removed, err)
	}
	if removed, err := Down(Config{}); err != nil || !slices.Equal(removed, []string{names[0], names[2]}) {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// newNetdev is a veth pair of the user's, down.
func newNetdev(t *testing.T) string {
	t.Helper()
	const name = "usernet0"
	dev := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "usernet1"}
	if err := netlink.LinkAdd(dev); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(dev); err != nil {
			t.Error(err)
		}
	})
	peer, err := netlink.LinkByName("usernet1")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(peer); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestUpOverNetdevOfTheUser(t *testing.T) {
	leavesNothing(t)
	netdev := newNetdev(t)
	l, err := Up(t.Context(), Config{Name: testName, NetDev: netdev})
	if err != nil {
		t.Fatal(err)
	}
	if l.Own || l.NetDev != netdev || l.State != rdma.PortActive {
		t.Errorf("%+v", l)
	}
	_, err = Up(t.Context(), Config{Name: testName + "2", NetDev: netdev})
	wantError(t, err, "has the link rxetest already", usage)
	_, err = Up(t.Context(), Config{Name: testName, NetDev: "lo"})
	wantError(t, err, "there is a link of this name over usernet0", usage)
	// Asked for again it is the same, and up again if it had gone down.
	for _, again := range []Config{{Name: testName, NetDev: netdev}, {Name: testName}} {
		dev, err := netlink.LinkByName(netdev)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetDown(dev); err != nil {
			t.Fatal(err)
		}
		if second, err := Up(t.Context(), again); err != nil || second.Name != l.Name || second.NetDev != netdev || second.State != rdma.PortActive {
			t.Errorf("%+v again: %+v, %v", again, second, err)
		}
	}
	if removed, err := Down(Config{}); err != nil || len(removed) != 0 {
		t.Errorf("Down of our own removed %v, %v", removed, err)
	}
	if removed, err := Down(Config{Name: testName}); err != nil || !slices.Equal(removed, []string{testName}) {
		t.Errorf("removed %v, %v", removed, err)
	}
	if _, err := netlink.LinkByName(netdev); err != nil {
		t.Errorf("the user's netdev: %v", err)
	}
}

type kind int

const (
	usage kind = iota
	hostLacks
	failure
)

func wantError(t *testing.T, err error, text string, k kind) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %q", err, text)
		return
	}
	if e.Usage() != (k == usage) || e.HostLacks() != (k == hostLacks) {
		t.Errorf("%v: usage %v, host lacks %v", err, e.Usage(), e.HostLacks())
	}
}

func TestErrors(t *testing.T) {
	leavesNothing(t)
	_, err := Up(t.Context(), Config{Name: testName, NetDev: "nosuchdev"})
	wantError(t, err, "netdev nosuchdev: there is none of this name", hostLacks)
	_, err = Up(t.Context(), Config{Name: "rxe%d"})
	wantError(t, err, "no name for an RDMA device", usage)
	_, err = Down(Config{Name: "nosuchlink"})
	wantError(t, err, "no soft-RoCE link of this name", hostLacks)
}

// Whenever an Up is interrupted, nothing is left of it.
func TestInterruptedUp(t *testing.T) {
	leavesNothing(t)
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		_, err := Up(ctx, Config{Name: testName})
		cancel()
		if err == nil {
			if _, err := Down(Config{Name: testName}); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// A port without carrier never becomes active; its netdev was down before.
func TestUpWithoutCarrier(t *testing.T) {
	leavesNothing(t)
	netdev := newNetdev(t)
	peer, err := netlink.LinkByName("usernet1")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(peer); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Up(ctx, Config{Name: testName, NetDev: netdev}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that the deadline passed", err)
	}
	dev, err := netlink.LinkByName(netdev)
	if err != nil {
		t.Fatal(err)
	}
	if dev.Attrs().RawFlags&1 != 0 {
		t.Error("the netdev was left up")
	}
}

func TestDownOfLinkInUse(t *testing.T) {
	leavesNothing(t)
	if _, err := Up(t.Context(), Config{Name: testName}); err != nil {
		t.Fatal(err)
	}
	d, err := rdma.FindDevice(sysfs, testName)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rdma.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Down(Config{Name: testName})
	wantError(t, err, "in use by process", failure)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(Config{Name: testName}); err != nil {
		t.Error(err)
	}
}

// What a killed Up leaves, a pair without link, goes with the next Down.
func TestDownRemovesLeftPairs(t *testing.T) {
	leavesNothing(t)
	net, err := newNetwork(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer net.close()
	if _, err := net.addPair(); err != nil {
		t.Fatal(err)
	}
	if removed, err := Down(Config{}); err != nil || len(removed) != 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Stderr.WriteString("these tests need root: run them in the lab\n")
		os.Exit(1)
	}
	os.Exit(leaktest.Run(m))
}
