package userfault

import (
	"errors"
	"io"
	"os"
	"testing"

	"umemstress/workload/internal/memory"
)

// watched is a gate of so many pages whose faults come through a pipe.
func watched(t *testing.T, pages int) (*Gate, *os.File) {
	t.Helper()
	region, err := memory.MapAnonymous(pages * os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	faults, kernel, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{memory: region, faults: faults, Waiting: make(chan int, pages)}
	go g.watch(faults, uint64(memory.AddressOf(region.Bytes)))
	t.Cleanup(func() {
		if err := errors.Join(g.Close(), kernel.Close()); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return g, kernel
}

func (g *Gate) fault(t *testing.T, kernel *os.File, page int) {
	t.Helper()
	m := uffdMsg{Event: uffdPageFault, Address: uint64(memory.AddressOf(g.memory.Bytes)) + uint64(page*os.Getpagesize()) + 8}
	if err := writeMsg(kernel, m); err != nil {
		t.Fatal(err)
	}
}

// Each page is told once, and then the end, with its reason: nobody is taken to wait at a
// gate that is not watched any more.
func TestWaiting(t *testing.T) {
	g, kernel := watched(t, 3)
	for _, page := range []int{2, 0, 2, 7} {
		g.fault(t, kernel, page)
	}
	for _, want := range []int{2, 0} {
		if page, watched := <-g.Waiting; !watched || page != want {
			t.Errorf("page %d, %v; want %d", page, watched, want)
		}
	}
	if err := kernel.Close(); err != nil {
		t.Fatal(err)
	}
	if page, watched := <-g.Waiting; watched || !errors.Is(g.Err(), io.EOF) {
		t.Errorf("page %d, %v, %v", page, watched, g.Err())
	}
}

// A gate may be closed while it is watched (go test -race).
func TestCloseWhileWatched(t *testing.T) {
	for range 100 {
		g, kernel := watched(t, 1)
		g.fault(t, kernel, 0)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		for range g.Waiting {
		}
		if !errors.Is(g.Err(), os.ErrClosed) {
			t.Fatal(g.Err())
		}
	}
}
