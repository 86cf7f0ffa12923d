package vmci

import (
	"errors"
	"fmt"
	"os"

	"umemstress/workload/internal/memory"
)

// window is the memory that queue pairs are made in, one after the other:
//
//	header | data that we produce | header | data that we consume
//
// The kernel writes what we consume, so that this is a piece of the target; the rest is
// anonymous. The kernel needs it no longer once it has pinned the pages.
type window struct {
	memory  *memory.Region
	piece   int            // bytes that the data of a queue are at most
	headers *memory.Region // those that we produce into, one for each queue pair, for as long as there are any
	made    int
}

func newWindow(piece, pairs int) (*window, error) {
	page := os.Getpagesize()
	w := &window{piece: piece}
	var err error
	if w.headers, err = memory.MapAnonymous(pairs * page); err != nil {
		return nil, err
	}
	if w.memory, err = memory.MapAnonymous(2 * (page + piece)); err != nil {
		return nil, errors.Join(err, w.headers.Close())
	}
	return w, nil
}

// over arranges the window over a part of the target, no larger than a piece.
func (w *window) over(part []byte) ([]byte, error) {
	page := os.Getpagesize()
	mem := w.memory.Bytes[w.piece-len(part) : 2*page+w.piece+len(part)]
	if err := memory.MapAgain(part, mem[len(mem)-len(part):]); err != nil {
		return nil, fmt.Errorf("map %d bytes of the file a second time: mremap: %w", len(part), err)
	}
	for _, header := range [][]byte{mem[:page], mem[page+len(part):][:page]} {
		if err := renew(header); err != nil {
			return nil, fmt.Errorf("mmap the header of a queue: %w", err)
		}
	}
	return mem, nil
}

// keepHeader takes the header of the queue that we produce into out of the window, which has
// another one next time. The kernel looks there how far we have consumed.
func (w *window) keepHeader(mem []byte) ([]byte, error) {
	page := os.Getpagesize()
	kept := w.headers.Bytes[w.made*page:][:page]
	w.made++
	if err := memory.Remap(mem[:page], uintptr(page), kept); err != nil {
		return nil, fmt.Errorf("keep the header of a queue: mremap: %w", err)
	}
	return kept, nil
}

// close gives the memory back but for the headers.
func (w *window) close() error { return w.memory.Close() }
