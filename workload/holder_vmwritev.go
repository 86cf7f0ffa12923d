package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// vmwritevPages is how many pages process_vm_writev pins at a time: as many as
// pointers fit into two pages (mm/process_vm_access.c, PVM_MAX_KMALLOC_PAGES).
// The pages behind them would be pinned only after these are released.
func vmwritevPages() int { return 2 * os.Getpagesize() / 8 }

// vmwritevHolder keeps pages pinned with process_vm_writev into its own mapping.
// The call pins its pages, copies, marks them dirty and releases them. Its copy
// begins at a page of a gate, so the pages stay pinned until that is let in.
type vmwritevHolder struct {
	gate   *gate
	writes *calls
	again  bool

	source, target *region
	size           int64 // of the target in bytes: a strip may unmap it
}

func openVMWritev(_ context.Context, o Options) (holder, error) {
	if err := onePass(o); err != nil {
		return nil, err
	}
	piece := int64(vmwritevPages() * os.Getpagesize())
	pieces := (o.FileBytes + piece - 1) / piece
	if pieces > maxCalls {
		return nil, usagef("--file-size %d: the holder vmwritev blocks a thread for each %d MiB; give at most %d MiB", o.FileBytes, piece>>20, maxCalls*piece>>20)
	}
	g, err := newGate(int(pieces))
	if err != nil {
		return nil, err
	}
	return &vmwritevHolder{gate: g}, nil
}

func (h *vmwritevHolder) device() Device {
	return Device{Name: "process_vm_writev", Driver: "mm", Backend: "userfaultfd"}
}

// pieces are the parts of the target that one call each writes. The source need
// not be as large: see local.
func (h *vmwritevHolder) pieces() pass {
	return pass{size: vmwritevPages() * os.Getpagesize(), target: h.size, source: h.size}
}

// pin starts the calls and returns when each of them waits at the gate: it has
// pinned its pages by then.
func (h *vmwritevHolder) pin(ctx context.Context, source, target *region) error {
	h.source, h.target, h.size = source, target, int64(len(target.mem))
	h.writes = newCalls(h.pieces().count())
	n := 0
	for m := range h.pieces().messages() {
		h.start(n, m)
		n++
	}
	for waiting := 0; waiting < n; {
		err := h.writes.held()
		switch {
		case errors.Is(err, unix.EFAULT):
			return pinRefused{err}
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			return lacksf("%w; the kernel needs CONFIG_CROSS_MEMORY_ATTACH, and in a container the seccomp profile must allow it (CAP_SYS_PTRACE)", err)
		case err != nil:
			return err
		}
		select {
		case <-h.gate.waiting:
			waiting++
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond): // to look whether a call failed
		}
	}
	return nil
}

// start makes call number n, in a thread that no signal disturbs: with one
// pending, the kernel would fault at the gate over and over instead of sleeping.
func (h *vmwritevHolder) start(n int, m message) {
	remote := []unix.RemoteIovec{{Base: addressOf(h.target.mem[m.to:]), Len: m.length}}
	local := h.local(n, m)
	what := fmt.Sprintf("process_vm_writev of %d bytes to byte %d of the region", m.length, m.to)
	h.writes.start(what, m.length, func() (int, error) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var all, before unix.Sigset_t
		for i := range all.Val {
			all.Val[i] = ^all.Val[i]
		}
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
			return 0, fmt.Errorf("block the signals of a thread: %w", err)
		}
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
		return unix.ProcessVMWritev(os.Getpid(), local, remote, 0)
	})
}

// local is where the bytes of call number n come from: a page of the gate in
// place of the first one, then the source itself, as it will be by then. A call
// has 1,024 pages at most, and takes as many vectors (UIO_MAXIOV).
func (h *vmwritevHolder) local(n int, m message) []unix.Iovec {
	first := h.gate.page(n)
	vectors := []unix.Iovec{{Base: &first[0], Len: uint64(len(first))}}
	source := h.source.mem
	for to, end := m.to+int64(len(first)), m.to+int64(m.length); to < end; {
		part := source[to%int64(len(source)):]
		part = part[:min(int64(len(part)), end-to)]
		vectors = append(vectors, unix.Iovec{Base: &part[0], Len: uint64(len(part))})
		to += int64(len(part))
	}
	return vectors
}

// write lets the calls pass the gate, when it is the second one.
func (h *vmwritevHolder) write(ctx context.Context, step writeStep) (Traffic, error) {
	if !step.again {
		return storeThrough(ctx, h.source, h.target, step.messageBytes)
	}
	if err := h.held(); err != nil {
		return Traffic{}, err
	}
	started := time.Now()
	h.again = true
	n := 0
	for m := range h.pieces().messages() {
		from := h.source.mem[m.to%int64(len(h.source.mem)):]
		if err := h.gate.let(n, from); err != nil {
			return Traffic{}, err
		}
		n++
	}
	err := h.writes.wait(ctx)
	return Traffic{
		Operations: uint64(n),
		Bytes:      uint64(h.size),
		Seconds:    time.Since(started).Seconds(),
	}, err
}

func (h *vmwritevHolder) tally() (attempts, hits int) {
	if h.writes == nil { // not pinned yet
		return 0, 0
	}
	return h.writes.tally()
}

func (h *vmwritevHolder) held() error {
	if h.again {
		return nil
	}
	return h.writes.held()
}

// release has nothing to do: a call lets go of its pages before it returns.
func (h *vmwritevHolder) release(ctx context.Context) error {
	return h.writes.wait(ctx)
}

// Close ends calls that are still under way.
func (h *vmwritevHolder) Close() error {
	if h.gate == nil {
		return nil
	}
	err := h.gate.open()
	if h.writes != nil {
		_ = h.writes.wait(context.Background()) // a failed call was reported where it mattered
	}
	err = errors.Join(err, h.gate.Close())
	h.gate = nil
	return err
}
