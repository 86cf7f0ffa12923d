package aio

import (
	"testing"

	"umemstress/rdma/abitest"
	"umemstress/workload/internal/worktest"
)

// The C compiler says what structs and values the header has.
func TestABI(t *testing.T) {
	structs := map[string]abitest.Struct{"struct iocb": {Is: controlBlock{}}, "struct io_event": {Is: ioEvent{}}}
	abitest.Headers{Include: []string{"linux/aio_abi.h"}, Package: "linux-libc-dev"}.Compare(t, structs, map[string]uint64{"IOCB_CMD_PREAD": commandRead})
	if n := abitest.Declared(t, "aio_abi.go"); n != len(structs) {
		t.Errorf("%d structs are declared and %d compared", n, len(structs))
	}
}

func TestBound(t *testing.T) {
	_, err := Open(t.Context(), Config{TargetBytes: 4097 << 20})
	worktest.WantUsage(t, err, "give at most 4096 MiB")
}
