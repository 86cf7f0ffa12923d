package rdma_test

import (
	"context"
	"log"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// From a device to bytes moved and a region unpinned. It needs a device, so it is
// compiled and not run.
func Example() {
	if err := moveBytes(context.Background()); err != nil {
		log.Fatal(err) // says what to do about it
	}
}

func moveBytes(ctx context.Context) error {
	d, err := rdma.FindDevice("/sys", "") // the first with an active port
	if err != nil {
		return err
	}
	device, err := rdma.Open(d) // owns all that follows
	if err != nil {
		return err
	}
	defer device.Close()
	pd, err := device.AllocPD() // what may reach what
	if err != nil {
		return err
	}

	// Registered memory is from mmap: Go's own may move, and is freed.
	const size = 1 << 20
	var regions [2]*rdma.MR
	for i := range regions {
		mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		regions[i], err = pd.RegisterMR(mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite) // pins it
		if err != nil {
			return err
		}
	}
	from, to := regions[0], regions[1]

	cq, err := device.CreateCQ(128)
	if err != nil {
		return err
	}
	qp, err := pd.CreateQP(rdma.QPConfig{SendCQ: cq})
	if err != nil {
		return err
	}
	peer, err := pd.CreateQP(rdma.QPConfig{SendCQ: cq})
	if err != nil {
		return err
	}
	path, err := device.Path(rdma.PathConfig{GIDIndex: rdma.AutoGID})
	if err != nil {
		return err
	}
	if err := rdma.ConnectLoopback(qp, peer, path); err != nil {
		return err
	}

	err = qp.Post(rdma.Request{
		Local:      rdma.Slice{MR: from, Length: from.Len()},
		RemoteAddr: to.Addr(), RKey: to.RKey(), Signaled: true,
	})
	if err != nil {
		return err
	}
	var completions [1]rdma.Completion
	if _, err := cq.Wait(ctx, completions[:]); err != nil {
		return err
	}
	if err := completions[0].Err(); err != nil {
		return err
	}
	return to.Close() // unpins it: the moment of truth
}
