package softroce

import (
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
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
	want := uapi.ModifyQP{
		QPHandle: 21, AttrMask: 1, QPState: 2, QPAccessFlags: 3, PkeyIndex: 4, PortNum: 5,
		Dest:    uapi.QPDest{DLID: 22, SL: 23, TrafficClass: 24, DGID: [16]uint8{0: 6, 15: 7}, SGIDIndex: 8, HopLimit: 9, PortNum: 10, IsGlobal: 1},
		PathMTU: 11, DestQPNum: 12, RQPSN: 13, SQPSN: 14, Timeout: 15, RetryCnt: 16, RNRRetry: 17,
		MinRNRTimer: 18, MaxRDAtomic: 19, MaxDestRDAtomic: 20, Qkey: 24,
	}
	if got := modifyRequest(21, attr); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	attr.AH.Global = false
	if got := modifyRequest(21, attr); got.Dest.IsGlobal != 0 {
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

func TestOpenSaysTheErrno(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "uverbs0")); err != unix.ENOENT {
		t.Errorf("%v, want ENOENT itself", err)
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
