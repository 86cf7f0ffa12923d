package ibverbs

import (
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Every neutral attribute has its place in the request, and none is forgotten.
func TestModifyRequest(t *testing.T) {
	attr := verbs.QPAttr{
		Mask: 1, State: 2, Access: 3, PKeyIndex: 4, Port: 5,
		AH:      verbs.AH{DLID: 22, SL: 23, TrafficClass: 24, Global: true, DGID: [16]byte{0: 6, 15: 7}, SGIDIndex: 8, HopLimit: 9, Port: 10},
		PathMTU: 11, DestQPN: 12, RQPSN: 13, SQPSN: 14, Timeout: 15, RetryCount: 16, RNRRetry: 17,
		MinRNRTimer: 18, MaxRDAtomic: 19, MaxDestRDAtomic: 20, QKey: 24,
	}
	want := qpAttr{
		QPState: 2, QPAccessFlags: 3, PKeyIndex: 4, PortNum: 5,
		AHAttr:  ahAttr{DLID: 22, SL: 23, TrafficClass: 24, DGID: [16]uint8{0: 6, 15: 7}, SGIDIndex: 8, HopLimit: 9, PortNum: 10, IsGlobal: 1},
		PathMTU: 11, DestQPNum: 12, RQPSN: 13, SQPSN: 14, Timeout: 15, RetryCnt: 16, RNRRetry: 17,
		MinRNRTimer: 18, MaxRDAtomic: 19, MaxDestRDAtomic: 20, QKey: 24,
	}
	if got := modifyRequest(attr); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	attr.AH.Global = false
	if got := modifyRequest(attr); got.AHAttr.IsGlobal != 0 {
		t.Errorf("within a subnet: %+v", got)
	}
	attr.AH.Global = true
	v := reflect.ValueOf(attr)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test leaves %s out", v.Type().Field(i).Name)
		}
	}
}

// What a completion has that means nothing does not get out.
func TestCompletionOf(t *testing.T) {
	full := workCompletion{WRID: 1, VendorErr: 2, ByteLen: 3, QPNum: 4, ImmData: 5}
	for what, c := range map[string]struct {
		status verbs.Status
		opcode uint32
		flags  uint32
		bytes  uint32
		imm    uint32
	}{
		"a write":                  {verbs.StatusSuccess, 1, 0, 0, 0},
		"a write with immediate":   {verbs.StatusSuccess, 1, wcWithImm, 0, 0},
		"a read":                   {verbs.StatusSuccess, wcRDMARead, 0, 3, 0},
		"a receive":                {verbs.StatusSuccess, wcRecv, 0, 3, 0},
		"a receive with immediate": {verbs.StatusSuccess, wcRecv | 1, wcWithImm, 3, 5},
		"a failed read":            {verbs.StatusFlushed, wcRDMARead, 0, 0, 0},
		"a receive that was lost":  {verbs.StatusFlushed, wcRecv, wcWithImm, 0, 0},
	} {
		from := full
		from.Status, from.Opcode, from.WCFlags = uint32(c.status), c.opcode, c.flags
		want := verbs.Completion{ID: 1, Status: c.status, ByteLen: c.bytes, QPN: 4, WithImm: c.imm != 0, Imm: c.imm}
		if c.status != verbs.StatusSuccess {
			want.VendorErr = 2
		}
		if got := completionOf(&from); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
}

// Providers return errnos with either sign, and one that gives no reason is not taken for success.
func TestStatusErrno(t *testing.T) {
	for status, want := range map[int32]unix.Errno{int32(unix.ENOMEM): unix.ENOMEM, -int32(unix.EINVAL): unix.EINVAL} {
		if got := statusErrno(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
	if err := noSilence(0); err != unix.EPROTO {
		t.Errorf("a failure without errno: %v", err)
	}
}

func TestRefusedQueuePairs(t *testing.T) {
	if _, err := (&backend{}).CreateQP(verbs.QPInit{Type: 9}); err != unix.EOPNOTSUPP {
		t.Errorf("a queue pair of type 9: %v", err)
	}
	if _, err := (&backend{}).CreateQP(verbs.QPInit{Type: verbs.RC, SendCQ: &cq{}, RecvCQ: &cq{}}); err != unix.EINVAL {
		t.Errorf("queues of another backend: %v", err)
	}
}

// An address that is no live object of this backend never reaches the library, which would
// follow it.
func TestUnknownHandles(t *testing.T) {
	b := &backend{}
	if err := b.DeallocPD(1); err != unix.EINVAL {
		t.Errorf("a domain that is none: %v", err)
	}
	if err := b.DeregisterMR(1); err != unix.EINVAL {
		t.Errorf("a region that is none: %v", err)
	}
	if _, err := b.RegisterMR(1, []byte{0}, 0); err != unix.EINVAL {
		t.Errorf("a region in a domain that is none: %v", err)
	}
}
