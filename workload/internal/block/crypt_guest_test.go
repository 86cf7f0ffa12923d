//go:build guest

package block

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/worktest"
)

// What is written to a device that encrypts comes back, is nowhere below it, and the device goes
// with its last descriptor.
func TestCrypt(t *testing.T) {
	before := worktest.Left(t)
	if err := writeCrypt(t.Context(), gateSize); err != nil {
		t.Error(err)
	}
	worktest.WantLeft(t, before)
}

// A device that the kernel does not make, since what is below is too small, leaves nothing.
func TestCryptFails(t *testing.T) {
	before := worktest.Left(t)
	if err := writeCrypt(t.Context(), 2*gateSize); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a device that is larger than what it is over: %v", err)
	}
	worktest.WantLeft(t, before)
}

func writeCrypt(ctx context.Context, size int64) (err error) {
	backing, err := file.Nameless(os.TempDir(), gateSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backing.Close()) }()
	loop, err := AttachLoop(ctx, backing)
	if err != nil {
		return err
	}
	device, err := NewCrypt(ctx, loop, size, os.TempDir())
	if err = errors.Join(err, loop.Close()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	text := bytes.Repeat([]byte{7}, 4096)
	if _, err := device.WriteAt(text, 8192); err != nil {
		return err
	}
	if err := file.Sync(device); err != nil {
		return err
	}
	back, below := make([]byte, 4096), make([]byte, gateSize)
	if _, err := device.ReadAt(back, 8192); err != nil || !bytes.Equal(back, text) {
		return fmt.Errorf("it reads %x, %w", back[:8], err)
	}
	if _, err := backing.ReadAt(below, 0); err != nil || bytes.Contains(below, text[:16]) {
		return fmt.Errorf("what was written lies below it, %w", err)
	}
	return nil
}
