package ibverbs

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// What is asked of a provider and what the connection manager says are the same struct: there and back, nothing is lost.
func TestNeutral(t *testing.T) {
	attr := verbs.QPAttr{
		Mask: verbs.AttrState | verbs.AttrAH, State: 2, Access: 3, PKeyIndex: 4, Port: 5,
		AH:      verbs.AH{DLID: 22, SL: 23, TrafficClass: 24, Global: true, DGID: [16]byte{0: 6, 15: 7}, SGIDIndex: 8, HopLimit: 9, Port: 10},
		PathMTU: 11, DestQPN: 12, RQPSN: 13, SQPSN: 14, Timeout: 15, RetryCount: 16, RNRRetry: 17,
		MinRNRTimer: 18, MaxRDAtomic: 19, MaxDestRDAtomic: 20,
	}
	got, err := neutral(modifyRequest(attr), attr.Mask)
	if err != nil || got != attr {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, attr)
	}
	const altPath = 1 << 14 // IBV_QP_ALT_PATH, which nothing here could say
	if _, err := neutral(qpAttr{}, attr.Mask|altPath); err != unix.EPROTO {
		t.Errorf("an attribute that is not known: %v", err)
	}
}

func TestManagerErrors(t *testing.T) {
	for want, e := range map[string]ManagerError{
		"RDMA_CM_EVENT_REJECTED: status 28":                          {Event: cmRejected, Status: 28},
		"RDMA_CM_EVENT_ADDR_ERROR: connection timed out (ETIMEDOUT)": {Event: 1, Status: -int32(unix.ETIMEDOUT)},
		"the connection manager tells of event 77: status 0":         {Event: 77},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
		if e.Rejected() != (e.Event == cmRejected) {
			t.Errorf("%+v: rejected %v", e, e.Rejected())
		}
	}
}

func TestLendAddress(t *testing.T) {
	lendAddress(netip.MustParseAddrPort("[::ffff:10.77.0.1]:258"), func(a uintptr) {
		is := at[unix.RawSockaddrInet4](a)
		if is.Family != unix.AF_INET || is.Addr != [4]byte{10, 77, 0, 1} || hostOrder(is.Port) != 258 || *at[[2]byte](addressOf(&is.Port)) != [2]byte{1, 2} {
			t.Errorf("%+v", is)
		}
	})
	lendAddress(netip.MustParseAddrPort("[fe80::1%7]:258"), func(a uintptr) {
		is := at[unix.RawSockaddrInet6](a)
		if is.Family != unix.AF_INET6 || is.Addr != netip.MustParseAddr("fe80::1").As16() || is.Scope_id != 7 || *at[[2]byte](addressOf(&is.Port)) != [2]byte{1, 2} {
			t.Errorf("%+v", is)
		}
	})
}
