package rdma

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/ibverbs"
	"umemstress/rdma/internal/verbs"
)

// What a host lacks for the connection manager is said with what to install or to load.
func TestManagerErrors(t *testing.T) {
	const what = "connection manager of device mlx5_0"
	wantText(t, newManagerError(what, fmt.Errorf("%w: librdmacm.so.1: cannot open shared object file", ibverbs.ErrManager)),
		true, what, "librdmacm.so.1", "apt-get install librdmacm1", "dnf install librdmacm")
	wantText(t, newManagerError(what, ibverbs.ErrStatic), true, "umemstress-ibverbs")
	wantText(t, newManagerError(what, unix.ENODEV), true, "modprobe rdma_ucm")
	wantText(t, newManagerError(what, unix.EACCES), true, "/dev/infiniband/rdma_cm")
	wantText(t, newManagerError(what, unix.EMFILE), true, "ulimit -n")
	wantText(t, newMeetError(what, &ibverbs.ManagerError{Event: 8, Status: 28}), false, "connect "+what, "RDMA_CM_EVENT_REJECTED", "has the other end gone?")
	wantText(t, newMeetError(what, &ibverbs.ManagerError{Event: 7, Status: -int32(unix.ETIMEDOUT)}), false, "ETIMEDOUT", "ping")
	wantText(t, newMeetError(what, errNoAnswer), false, "has not answered for 20s", "ping")
	if err := newMeetError(what, unix.ENODEV); !errors.Is(err, ErrDeviceGone) {
		t.Errorf("a device that is gone: %v", err)
	}
}

// The address of the GID is tried first, and those of a link last.
func TestAddressPreference(t *testing.T) {
	gid := netip.MustParseAddr("2001:db8::1")
	var got []netip.Addr
	for _, text := range []string{"fe80::1%3", "2001:db8::2", "10.0.0.1", "2001:db8::1"} {
		got = append(got, netip.MustParseAddr(text))
	}
	slices.SortStableFunc(got, func(a, b netip.Addr) int { return preference(a, gid) - preference(b, gid) })
	if want := "[2001:db8::1 10.0.0.1 2001:db8::2 fe80::1%3]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	link := netip.MustParseAddr("fe80::1")
	if preference(netip.MustParseAddr("fe80::1%3"), link) != 0 {
		t.Error("the GID's own address has a zone, and is not preferred")
	}
}

// A connection is as one that is made without the manager: what the peer may do, and how long it is waited for.
func TestAdjust(t *testing.T) {
	attr := verbs.QPAttr{Access: verbs.AccessRemoteWrite, PathMTU: 5, Timeout: 20, MinRNRTimer: 0, RetryCount: 6, MaxRDAtomic: 3, MaxDestRDAtomic: 9}
	(&QP{config: QPConfig{Atomics: true}, reads: 4, address: Address{Reads: 8}}).adjust(&attr, Path{MTU: 1024, Timeout: 9})
	want := verbs.QPAttr{
		Access:  verbs.AccessLocalWrite | verbs.AccessRemoteWrite | verbs.AccessRemoteRead | verbs.AccessRemoteAtomic,
		PathMTU: 3, Timeout: 9, MinRNRTimer: minRNRTimer, RetryCount: 6, MaxRDAtomic: 3, MaxDestRDAtomic: 8,
	}
	if attr != want {
		t.Errorf("got  %+v\nwant %+v", attr, want)
	}
	attr.PathMTU = 1
	if (&QP{}).adjust(&attr, Path{MTU: 4096}); attr.PathMTU != 1 {
		t.Errorf("an MTU of %d, where the manager's way has 256 bytes", attr.PathMTU.Bytes())
	}
}
