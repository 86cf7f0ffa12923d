//go:build guest

package rdma

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// rdma_rxe registers no dma-buf, and it is the kernel that says so: to a request that it has understood, since of one with a domain
// that is not there it says something else, unless it has no such request at all.
func TestDMABufAbsent(t *testing.T) {
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	want := unix.EPROTONOSUPPORT
	if bytes.Contains(symbols, []byte(" ib_uverbs_handler_UVERBS_METHOD_REG_DMABUF_MR\t")) { // since 5.12
		want = unix.EOPNOTSUPP
	}
	file, err := unix.MemfdCreate("none", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(file)
	ctx := openDevice(t)
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	if err := pd.TryDMABuf(file, 4096, AccessLocalWrite); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	backend, err := openBackend(ctx.Device(), Uverbs)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	const nobodys = 12345
	if _, err := backend.RegisterDMABuf(nobodys, file, 4096, verbs.AccessLocalWrite); err == nil || errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("of a domain that is not there: %v", err)
	} else {
		t.Log(err)
	}
	if pd, err := backend.AllocPD(); err != nil {
		t.Error(err)
	} else if _, err := backend.RegisterDMABuf(pd, file, 4096, verbs.AccessLocalWrite); !errors.Is(err, want) {
		t.Errorf("by the backend: %v, want %v", err, want)
	}
}
