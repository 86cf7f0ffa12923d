package rdma

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/ibverbs"
)

func TestBackendForDevice(t *testing.T) {
	for _, c := range []struct {
		asked  Backend
		driver string
		want   Backend
		why    string
	}{
		{AutoBackend, DriverRxe, Uverbs, "the queues of rdma_rxe are known without a library"},
		{AutoBackend, "mlx5_core", IBVerbs, "the queues of mlx5_core are known to its provider in rdma-core alone"},
		{AutoBackend, "", IBVerbs, "the queues of this device are known to its provider in rdma-core alone"},
		{IBVerbs, DriverRxe, IBVerbs, "it was asked for"},
	} {
		if got, why := c.asked.Choose(Device{Driver: c.driver}); got != c.want || why != c.why {
			t.Errorf("%s of driver %q: %s, since %s", c.asked, c.driver, got, why)
		}
	}
}

// What a host lacks for libibverbs is said with what to install.
func TestLibraryErrors(t *testing.T) {
	wantText(t, newOpenError("device mlx5_0", ibverbs.ErrStatic), true, "build tag ibverbs", "umemstress-ibverbs")
	wantText(t, newOpenError("device mlx5_0", ibverbs.ErrProvider), true, "no provider", "apt-get install ibverbs-providers", "dnf install")
	wantText(t, newOpenError("device mlx5_0", fmt.Errorf("%w: libibverbs.so.1: cannot open shared object file", ibverbs.ErrLibrary)),
		true, "libibverbs.so.1", "apt-get install ibverbs-providers")
	wantText(t, newOpenError("device mlx5_0", unix.ENOSYS), true, "ENOSYS", "load the device's driver")
	wantText(t, newOpenError("device mlx5_0", unix.EPROTO), false, "EPROTO", "structs", "report it")
}
