package uring

import (
	"testing"

	"umemstress/rdma/abitest"
	"umemstress/workload/internal/worktest"
)

// The C compiler says what structs and values the header has.
func TestABI(t *testing.T) {
	structs := map[string]abitest.Struct{
		"struct io_uring_params":   {Is: params{}},
		"struct io_sqring_offsets": {Is: submissionOffsets{}},
		"struct io_cqring_offsets": {Is: completionOffsets{}},
		"struct io_uring_sqe":      {Is: submission{}},
		"struct io_uring_cqe":      {Is: completion{}},
	}
	abitest.Headers{Include: []string{"linux/io_uring.h"}, Package: "linux-libc-dev"}.Compare(t, structs, map[string]uint64{
		"IORING_OP_READ": opRead, "IOSQE_ASYNC": async, "IORING_ENTER_GETEVENTS": enterGetEvents,
		"IORING_FEAT_SINGLE_MMAP": featSingleMmap, "IORING_FEAT_NATIVE_WORKERS": featNativeWorkers,
		"IORING_OFF_SQ_RING": offRings, "IORING_OFF_SQES": offSubmissions,
	})
	if n := abitest.Declared(t, "io_uring.go"); n != len(structs) {
		t.Errorf("%d structs are declared and %d compared", n, len(structs))
	}
}

func TestBound(t *testing.T) {
	_, err := Open(t.Context(), Config{TargetBytes: 4097 << 20})
	worktest.WantUsage(t, err, "give at most 4096 MiB")
}
