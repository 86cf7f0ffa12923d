package devicecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// reregister gives a region that nobody else may write to the access that a write takes, and has it be over other memory, where the
// device does that as well.
func (t *tour) reregister(ctx context.Context) (seen string, err error) {
	const size = 4096
	var memory [2][]byte
	for i := range memory {
		if memory[i], err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
			return "", fmt.Errorf("%d bytes of memory: %w", size, err)
		}
		defer func() { err = errors.Join(err, unix.Munmap(memory[i])) }()
	}
	region, err := t.pd.RegisterMR(memory[0], rdma.AccessLocalWrite)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(region.Close(), err) }()
	if err := region.ChangeAccess(access); err != nil {
		return "", err
	}
	if err := t.writeTo(ctx, region, memory[0]); err != nil {
		return "", err
	}
	switch err := region.ChangeMemory(memory[1]); {
	case absent(err):
		return "for another access; the device does not do so for other memory", nil
	case err != nil:
		return "", err
	}
	return "for another access, and over other memory", t.writeTo(ctx, region, memory[1])
}

// writeTo has a write bring bytes to a region's memory.
func (t *tour) writeTo(ctx context.Context, region *rdma.MR, memory []byte) error {
	const id = 1
	for i := range memory {
		t.memory[0][i] = byte(i*13 + i>>8)
	}
	clear(memory)
	r := t.request(id, len(memory))
	r.RemoteAddr, r.RKey = region.Addr(), region.RKey()
	if err := t.pair[0].Post(r); err != nil {
		return err
	}
	if err := t.succeed(ctx, id); err != nil {
		return err
	}
	if !bytes.Equal(memory, t.memory[0][:len(memory)]) {
		return errAltered
	}
	return nil
}
