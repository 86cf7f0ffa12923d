// Package vmwritev is the holder vmwritev: it pins by process_vm_writev into the mapping,
// held in its copy by userfaultfd.
package vmwritev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/userfault"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// pagesACall is how many pages process_vm_writev pins at a time: as many as
// pointers fit into two pages (mm/process_vm_access.c, PVM_MAX_KMALLOC_PAGES).
// The pages behind them would be pinned only after these are released.
func pagesACall() int { return 2 * os.Getpagesize() / 8 }

// writer keeps pages pinned with process_vm_writev into its own mapping.
// The call pins its pages, copies, marks them dirty and releases them. Its copy
// begins at a page of a gate, so the pages stay pinned until that is let in.
type writer struct {
	holder.ByCalls
	config holder.Config
	gate   *userfault.Gate
}

// Facts is what is known of the holder vmwritev.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "vmwritev", What: "process_vm_writev into the mapping"},
		Does:   "process_vm_writev", Once: true, Probed: event.HolderVMWritev, PinsCounted: true,
	}
}

// Open makes the gate.
func Open(c holder.Config) (holder.Holder, error) {
	piece := int64(pagesACall() * os.Getpagesize())
	calls := (c.TargetBytes + piece - 1) / piece
	if calls > holder.MaxCalls {
		return nil, fault.Usagef("--file-size %d: the holder vmwritev blocks a thread for each %d MiB; give at most %d MiB", c.TargetBytes, piece>>20, holder.MaxCalls*piece>>20)
	}
	g, err := userfault.NewGate(int(calls))
	if err != nil {
		return nil, err
	}
	return &writer{config: c, gate: g}, nil
}

// Device is the system call.
func (h *writer) Device() record.Device {
	return record.Device{Name: "process_vm_writev", Driver: "mm", Backend: "userfaultfd"}
}

// Content is nil: the run chooses the bytes.
func (h *writer) Content() []byte { return nil }

// pieces are the parts of a target of so many bytes that one call each writes. The source
// need not be as large: see local.
func pieces(size int64) holder.Pass {
	return holder.Pass{Size: pagesACall() * os.Getpagesize(), Target: size, Source: size}
}

// Pin starts the calls and returns when each of them waits at the gate: it has
// pinned its pages by then.
func (h *writer) Pin(ctx context.Context, source, target *memory.Region) error {
	parts := pieces(int64(len(target.Bytes)))
	h.Begin(source, target, parts.Target, parts.Count())
	n := 0
	for m := range parts.Messages() {
		h.start(n, m)
		n++
	}
	for waiting := 0; waiting < n; {
		err := h.Calls.Held()
		switch {
		case errors.Is(err, unix.EFAULT):
			return fault.PinRefused(err)
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			return fault.Lacksf("%w; the kernel needs CONFIG_CROSS_MEMORY_ATTACH, and in a container the seccomp profile must allow it (CAP_SYS_PTRACE)", err)
		case err != nil:
			return err
		}
		select {
		case _, watched := <-h.gate.Waiting:
			if !watched {
				return h.gate.Err()
			}
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
func (h *writer) start(n int, m holder.Message) {
	remote := []unix.RemoteIovec{{Base: memory.AddressOf(h.Target.Bytes[m.To:]), Len: m.Length}}
	local := h.local(h.gate.Page(n), m)
	what := fmt.Sprintf("process_vm_writev of %d bytes to byte %d of the region", m.Length, m.To)
	h.Calls.Start(what, m.Length, func() (int, error) {
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
func (h *writer) local(first []byte, m holder.Message) []unix.Iovec {
	vectors := []unix.Iovec{{Base: &first[0], Len: uint64(len(first))}}
	source := h.Source.Bytes
	for to, end := m.To+int64(len(first)), m.To+int64(m.Length); to < end; {
		part := source[to%int64(len(source)):]
		part = part[:min(int64(len(part)), end-to)]
		vectors = append(vectors, unix.Iovec{Base: &part[0], Len: uint64(len(part))})
		to += int64(len(part))
	}
	return vectors
}

// Write lets the calls pass the gate, when it is the second one.
func (h *writer) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	return h.LetGo(ctx, h.letAll)
}

func (h *writer) letAll() error {
	n := 0
	for m := range pieces(h.Size).Messages() {
		from := h.Source.Bytes[m.To%int64(len(h.Source.Bytes)):]
		if err := h.gate.Let(n, from); err != nil {
			return err
		}
		n++
	}
	return nil
}

// Close ends calls that are still under way.
func (h *writer) Close() error {
	if h.gate == nil {
		return nil
	}
	err := h.gate.Open()
	if h.Calls != nil {
		_ = h.Calls.Wait(context.Background()) // a failed call was reported where it mattered
	}
	err = errors.Join(err, h.gate.Close())
	h.gate = nil
	return err
}
