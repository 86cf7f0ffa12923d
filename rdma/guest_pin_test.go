//go:build guest

package rdma

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPinOfFile(t *testing.T) {
	e := newEndpoint(t, 4)
	mr, err := e.pd.RegisterMR(mappedFile(t, 64<<10), AccessLocalWrite|AccessRemoteWrite)
	switch *expectPin {
	case "granted":
		if err != nil {
			t.Fatal(err)
		}
		if err := mr.Close(); err != nil {
			t.Fatal(err)
		}
	case "refused":
		var rdmaErr *Error
		if !errors.Is(err, ErrPinRefused) || !errors.Is(err, unix.EFAULT) || !errors.As(err, &rdmaErr) || rdmaErr.HostLacks() {
			t.Fatalf("%v, want ErrPinRefused", err)
		}
	default:
		t.Fatal("give -expect-pin=granted or -expect-pin=refused, as is right for this kernel")
	}
}

// A bad address is an EFAULT too, or the EINVAL of older rdma_rxe, and must not
// pass for a refused pin.
func TestBadAddressIsNoRefusedPin(t *testing.T) {
	const size = 64 << 10
	hole := anonymous(t, size)
	if err := unix.Mprotect(hole[size/2:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	readOnly := anonymous(t, size)
	if err := unix.Mprotect(readOnly, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	e := newEndpoint(t, 4)
	for what, mem := range map[string][]byte{
		"half inaccessible": hole, "read-only": readOnly, "beyond the end of the file": beyondEnd(t, size),
	} {
		_, err := e.pd.RegisterMR(mem, AccessLocalWrite|AccessRemoteWrite)
		if !errors.Is(err, unix.EFAULT) && !errors.Is(err, unix.EINVAL) || errors.Is(err, ErrPinRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// beyondEnd maps a file of which the second half has been cut off.
func beyondEnd(t *testing.T, size int) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	if err := f.Truncate(int64(size / 2)); err != nil {
		t.Fatal(err)
	}
	return mem
}
