// Package userfault holds who touches a page of its memory, the kernel in the middle of a
// system call included, until the page is let in (userfaultfd).
package userfault

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// Gate is memory whose pages are not there until they are let in: who touches
// one, the kernel in the middle of a system call included, waits
// (Documentation/admin-guide/mm/userfaultfd.rst).
type Gate struct {
	memory *memory.Region
	faults *os.File
	// Waiting receives the number of each page, once, when somebody waits for it.
	// It is closed when nothing can be received any more: see Err.
	Waiting chan int
	err     error // why Waiting is closed
}

// NewGate makes a gate of so many pages.
func NewGate(pages int) (_ *Gate, err error) {
	pageSize := os.Getpagesize()
	g := &Gate{Waiting: make(chan int, pages)}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.memory, err = memory.MapAnonymous(pages * pageSize); err != nil {
		return nil, err
	}
	fd, err := openUserfault()
	if err != nil {
		return nil, err
	}
	api := uffdioAPIArg{API: uffdAPI}
	err = uffdioCall(fd, uffdioAPI, &api)
	// Before UFFDIO_API a poll of the descriptor fails, and Go polls from here on.
	g.faults = os.NewFile(uintptr(fd), "userfaultfd")
	if err != nil {
		return nil, fmt.Errorf("UFFDIO_API: %w", err)
	}
	register := uffdioRegisterArg{
		Start: uint64(memory.AddressOf(g.memory.Bytes)), Len: uint64(len(g.memory.Bytes)), Mode: uffdModeMissing,
	}
	if err := uffdioCall(fd, uffdioRegister, &register); err != nil {
		return nil, fmt.Errorf("UFFDIO_REGISTER of %d pages: %w", pages, err)
	}
	go g.watch(g.faults, register.Start)
	return g, nil
}

// openUserfault asks for faults of the kernel, too: without a privilege there are
// only those of user mode, by default (vm.unprivileged_userfaultfd, Linux 5.11).
func openUserfault() (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	switch errno {
	case 0:
		return int(fd), nil
	case unix.ENOSYS:
		return 0, fault.Lacksf("the holder vmwritev needs userfaultfd: %w; boot a kernel that has it (CONFIG_USERFAULTFD)", errno)
	case unix.EPERM:
		return 0, fault.Lacksf("the holder vmwritev needs userfaultfd: %w; run as root, or sysctl vm.unprivileged_userfaultfd=1; in a container, its seccomp profile must allow it", errno)
	}
	return 0, fmt.Errorf("userfaultfd: %w", errno)
}

// watch passes on who waits for a page of the memory at start, until the gate closes its
// descriptor. It does not look at the memory itself, which may be unmapped meanwhile.
func (g *Gate) watch(faults *os.File, start uint64) {
	defer close(g.Waiting)
	pageSize := uint64(os.Getpagesize())
	seen := make([]bool, cap(g.Waiting))
	for {
		m, err := readMsg(faults)
		if err != nil {
			g.err = fmt.Errorf("who waits at the gate is not known any more: %w", err)
			return
		}
		page := (m.Address - start) / pageSize
		if m.Event != uffdPageFault || page >= uint64(len(seen)) || seen[page] {
			continue // a signal has the kernel fault a page again
		}
		seen[page] = true
		g.Waiting <- int(page)
	}
}

// Err is why Waiting was closed, once it is: os.ErrClosed where the gate was opened.
func (g *Gate) Err() error { return g.err }

// Page is the memory of one page.
func (g *Gate) Page(n int) []byte {
	pageSize := os.Getpagesize()
	return g.memory.Bytes[n*pageSize : (n+1)*pageSize]
}

// Let lets a page in, with the bytes of from, which is a page of mapped memory,
// and wakes who waits for it.
func (g *Gate) Let(n int, from []byte) error {
	at := g.Page(n)
	c := uffdioCopyArg{Dst: uint64(memory.AddressOf(at)), Src: uint64(memory.AddressOf(from)), Len: uint64(len(at))}
	for {
		err := uffdioCall(int(g.faults.Fd()), uffdioCopy, &c)
		switch {
		case errors.Is(err, unix.EAGAIN): // the address space is changing (mmap_changing)
			continue
		case err != nil:
			return fmt.Errorf("UFFDIO_COPY of page %d: %w", n, err)
		}
		return nil
	}
}

// Open lets every page in that is still out, with zeros: closing the descriptor
// ends the registration and wakes everybody (fs/userfaultfd.c,
// userfaultfd_release). A killed process opens its gate that way, too.
func (g *Gate) Open() error {
	if g.faults == nil {
		return nil
	}
	faults := g.faults
	g.faults = nil
	return faults.Close()
}

// Close opens the gate. Nobody may use its memory any more.
func (g *Gate) Close() error {
	return errors.Join(g.Open(), g.memory.Close())
}
