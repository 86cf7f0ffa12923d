package devicecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"umemstress/rdma"
)

// window has a write go through a memory window, and fail once that is gone.
func (t *tour) window(ctx context.Context) (string, error) {
	return t.through(ctx, rdma.Window1, func(_ *rdma.QP, w *rdma.Window) (string, error) {
		return "was refused once it was gone", w.Close()
	})
}

// window2 has a write go through a window of type 2, and fail once its key was taken.
func (t *tour) window2(ctx context.Context) (string, error) {
	return t.through(ctx, rdma.Window2, func(by *rdma.QP, w *rdma.Window) (string, error) {
		const taking = 4
		if err := by.Invalidate(taking, w); err != nil {
			return "", err
		}
		return "was refused once its key was taken", t.succeed(ctx, taking)
	})
}

// through has a write go through a window, and fail after its end, by the queue pair that bound it.
func (t *tour) through(ctx context.Context, of rdma.WindowType, end func(by *rdma.QP, w *rdma.Window) (string, error)) (seen string, err error) {
	pair, err := t.newPair(rdma.QPConfig{})
	if err != nil {
		return "", err
	}
	region, err := t.pd.RegisterMR(t.memory[1], rdma.AccessLocalWrite|rdma.AccessBindWindow)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(region.Close(), err) }()
	w, err := region.AllocWindow(of)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(w.Close(), err) }()
	const at, size, binding, inside, late = 4096, 4096, 1, 2, 3
	if err := pair[1].Bind(binding, w, at, size, rdma.AccessRemoteWrite); err != nil {
		return "", err
	}
	if err := t.succeed(ctx, binding); err != nil {
		return "", err
	}
	want := bytes.Clone(t.memory[1])
	copy(want[at:], t.memory[0][:size])
	r := t.request(inside, size)
	r.RemoteAddr, r.RKey = region.Addr()+at, w.RKey()
	if err := pair[0].Post(r); err != nil {
		return "", err
	}
	if err := t.succeed(ctx, inside); err != nil {
		return "", err
	}
	if !bytes.Equal(t.memory[1], want) {
		return "", errAltered
	}
	how, err := end(pair[1], w)
	if err != nil {
		return "", err
	}
	r.ID = late
	if err := pair[0].Post(r); err != nil {
		return "", err
	}
	done, err := t.wait(ctx, late)
	if err == nil && done.Err() == nil {
		err = errOpen
	}
	return fmt.Sprintf("over %d bytes of a region: a write through it arrived, and %s", size, how), err
}

// errOpen is of a window that gives access after its end.
var errOpen = errors.New("a write through a memory window that is gone did not fail")
