package rdma

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	local, remote := Address{QPN: 17}, Address{QPN: 18}
	gid := netip.MustParseAddr("::ffff:10.77.0.1")
	for _, test := range []struct {
		err   error
		lacks bool
		parts []string
	}{
		{newOpenError("device rxe0", unix.EACCES), true, []string{"open device rxe0", "EACCES", "udev group rdma"}},
		{newOpenError("device rxe0", unix.ENOENT), true, []string{"ENOENT", "load the device's driver"}},
		{newOpenError("device rxe0", unix.ENODEV), true, []string{"ENODEV", "load the device's driver"}},
		{newError("allocate", "protection domain", unix.EACCES), true, []string{"allocate protection domain", "changed its credentials"}},
		{newError("allocate", "protection domain", unix.ENOSPC), false, []string{"allocate protection domain: no space left on device (ENOSPC)"}},
		{newPostError(local, unix.EINVAL), false, []string{"post to queue pair 17", "not connected"}},
		{newPostError(local, unix.EIO), true, []string{"the RDMA device is gone", "EIO"}},
		{newConnectError(local, remote, gid, unix.EHOSTUNREACH), true, []string{"queue pair 17 to 18 at ::ffff:10.77.0.1", "is the netdev up"}},
		{newCreateCQError("completion queue of 9 entries", unix.EINVAL), false, []string{"create completion queue of 9 entries", "EINVAL", "max_cqe"}},
		{withoutAtomics(newConnectError(local, remote, gid, unix.EINVAL), verbs.QPAttr{Access: verbs.AccessRemoteAtomic}), true, []string{"EINVAL", "atomic_cap"}},
		{withoutAtomics(newConnectError(local, remote, gid, unix.EINVAL), verbs.QPAttr{}), false, []string{"EINVAL"}},
		{newCreateQPError("RC queue pair", QPConfig{MaxSend: 1 << 20, MaxRecv: 1}, unix.EINVAL), false, []string{"1048576 send and 1 receive"}},
		{portDownError(Device{Name: "rxe0"}, 1, PortDown), true, []string{"use port 1 of device rxe0: it is DOWN", "ip link set"}},
		{closedError("poll", "completion queue"), false, []string{"poll completion queue: already closed"}},
	} {
		wantText(t, test.err, test.lacks, test.parts...)
	}
}

func TestErrorChain(t *testing.T) {
	gone := newError("use", "device rxe0", unix.EIO)
	if !errors.Is(gone, unix.EIO) || !errors.Is(gone, ErrDeviceGone) || errors.Is(gone, ErrPinRefused) {
		t.Errorf("chain of %v", gone)
	}
	refused := error(&Error{Op: "register", Errno: unix.EFAULT, reason: ErrPinRefused})
	if !errors.Is(refused, ErrPinRefused) || !errors.Is(refused, unix.EFAULT) {
		t.Errorf("chain of %v", refused)
	}
	other := errors.New("other")
	if e := newError("map", "queue", other); !errors.Is(e, other) || e.Errno != 0 {
		t.Errorf("chain of %v", e)
	}
}

func TestCompletionError(t *testing.T) {
	c := Completion{ID: 3, QPN: 17, Status: StatusRetryExceeded}
	want := "request 3 on queue pair 17: no answer from the remote queue pair (transport retry counter exceeded)"
	if err := c.Err(); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	c.VendorErr = 0x81
	if err := c.Err(); err == nil || err.Error() != want+", vendor error 0x81" {
		t.Errorf("with a vendor's error: %v", err)
	}
	c.Status = StatusSuccess
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	if got := Status(99).String(); got != "completion status 99" {
		t.Error(got)
	}
	for i, name := range statusNames {
		if name == "" {
			t.Errorf("completion status %d has no name", i)
		}
	}
}

// A registration that the device refuses as EINVAL says what may be at fault.
func TestRefusedRegistration(t *testing.T) {
	for want, trial := range map[string]error{"max_mr_size": nil, "atomic_cap": unix.EINVAL} {
		wantText(t, newRegisterError("memory region of 1 bytes", nil, AccessLocalWrite, unix.EINVAL, func() error { return trial }), false, "EINVAL", want)
	}
}

func TestLockStatus(t *testing.T) {
	read := func(status string) (uint64, bool, error) {
		t.Helper()
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "7"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "7/status"), []byte(status), 0o644); err != nil {
			t.Fatal(err)
		}
		proc, err := procfs.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		self, err := proc.Proc(7)
		if err != nil {
			t.Fatal(err)
		}
		return lockStatus(self)
	}
	pinned, privileged, err := read("Name:\tx\nVmLck:\t  4 kB\nVmPin:\t   128 kB\nCapEff:\t0000000000004000\n")
	if pinned != 128<<10 || !privileged || err != nil {
		t.Errorf("%d, %v, %v", pinned, privileged, err)
	}
	pinned, privileged, err = read("VmPin:\t0 kB\nCapEff:\t000001ffffffbfff\n")
	if pinned != 0 || privileged || err != nil {
		t.Errorf("%d, %v, %v", pinned, privileged, err)
	}
	if _, _, err := read("VmPin:\t0 kB\nCapEff:\tall\n"); err == nil {
		t.Error("capabilities that are no number are accepted")
	}
}

func TestRequestStaysInsideItsRegion(t *testing.T) {
	mr := &MR{mem: make([]byte, 100)}
	const big = int(^uint(0) >> 1)
	for _, s := range []Slice{{mr, 0, 101}, {mr, 100, 1}, {mr, -1, 1}, {mr, 1, -1}, {mr, 101, 0}, {mr, big, big}, {nil, 0, 0}} {
		if err := (&s).check(); err == nil {
			t.Errorf("%d bytes at %d are accepted", s.Length, s.Offset)
		}
	}
	for _, s := range []Slice{{mr, 0, 100}, {mr, 100, 0}, {mr, 99, 1}} {
		if err := (&s).check(); err != nil {
			t.Errorf("%d bytes at %d: %v", s.Length, s.Offset, err)
		}
	}
}
