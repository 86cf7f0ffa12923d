package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"umemstress/probes/event"

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
	config vmwritevConfig
	gate   *gate
	writes *calls
	again  bool

	source, target *region
	size           int64 // of the target in bytes: a strip may unmap it
}

// vmwritevConfig is what the holder vmwritev is opened with.
type vmwritevConfig struct {
	TargetBytes int64 // that are to arrive
	StoreBytes  int   // that an operation of the first write stores
}

// vmwritevFacts is what is known of the holder vmwritev.
func vmwritevFacts() Holder {
	return Holder{
		Choice: Choice{"vmwritev", "process_vm_writev into the mapping"},
		Does:   "process_vm_writev", Once: true, Probed: event.HolderVMWritev,
	}
}

// openVMWritev makes the gate.
func openVMWritev(c vmwritevConfig) (holder, error) {
	piece := int64(vmwritevPages() * os.Getpagesize())
	pieces := (c.TargetBytes + piece - 1) / piece
	if pieces > maxCalls {
		return nil, usagef("--file-size %d: the holder vmwritev blocks a thread for each %d MiB; give at most %d MiB", c.TargetBytes, piece>>20, maxCalls*piece>>20)
	}
	g, err := newGate(int(pieces))
	if err != nil {
		return nil, err
	}
	return &vmwritevHolder{config: c, gate: g}, nil
}

func (h *vmwritevHolder) Device() Device {
	return Device{Name: "process_vm_writev", Driver: "mm", Backend: "userfaultfd"}
}

// Content is nil: the run chooses the bytes.
func (h *vmwritevHolder) Content() []byte { return nil }

// pieces are the parts of the target that one call each writes. The source need
// not be as large: see local.
func (h *vmwritevHolder) pieces() pass {
	return pass{Size: vmwritevPages() * os.Getpagesize(), Target: h.size, Source: h.size}
}

// Pin starts the calls and returns when each of them waits at the gate: it has
// pinned its pages by then.
func (h *vmwritevHolder) Pin(ctx context.Context, source, target *region) error {
	h.source, h.target, h.size = source, target, int64(len(target.mem))
	h.writes = newCalls(h.pieces().Count())
	n := 0
	for m := range h.pieces().Messages() {
		h.start(n, m)
		n++
	}
	for waiting := 0; waiting < n; {
		err := h.writes.held()
		switch {
		case errors.Is(err, unix.EFAULT):
			return pinRefused(err)
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
	remote := []unix.RemoteIovec{{Base: addressOf(h.target.mem[m.To:]), Len: m.Length}}
	local := h.local(h.gate.page(n), m)
	what := fmt.Sprintf("process_vm_writev of %d bytes to byte %d of the region", m.Length, m.To)
	h.writes.start(what, m.Length, func() (int, error) {
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

// local is where the bytes of a call come from: first, a page of the gate, in
// place of the first one, then the source itself, as it will be by then. A call
// has 1,024 pages at most, and takes as many vectors (UIO_MAXIOV).
func (h *vmwritevHolder) local(first []byte, m message) []unix.Iovec {
	vectors := []unix.Iovec{{Base: &first[0], Len: uint64(len(first))}}
	source := h.source.mem
	for to, end := m.To+int64(len(first)), m.To+int64(m.Length); to < end; {
		part := source[to%int64(len(source)):]
		part = part[:min(int64(len(part)), end-to)]
		vectors = append(vectors, unix.Iovec{Base: &part[0], Len: uint64(len(part))})
		to += int64(len(part))
	}
	return vectors
}

// Write lets the calls pass the gate, when it is the second one.
func (h *vmwritevHolder) Write(ctx context.Context, step writeStep) (Traffic, error) {
	if !step.Again {
		return storeThrough(ctx, h.source, h.target, h.config.StoreBytes)
	}
	if err := h.Held(); err != nil {
		return Traffic{}, err
	}
	started := time.Now()
	h.again = true
	n := 0
	for m := range h.pieces().Messages() {
		from := h.source.mem[m.To%int64(len(h.source.mem)):]
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

func (h *vmwritevHolder) Tally() Tally {
	if h.writes == nil { // not pinned yet
		return Tally{}
	}
	return h.writes.tally()
}

func (h *vmwritevHolder) Held() error {
	if h.again {
		return nil
	}
	return h.writes.held()
}

// Release has nothing to do: a call lets go of its pages before it returns.
func (h *vmwritevHolder) Release(ctx context.Context) error {
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
