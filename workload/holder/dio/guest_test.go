//go:build guest

package dio

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
	"umemstress/workload/holder/holdertest"
	"umemstress/workload/internal/block"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/payload"
)

// subject is the holder with a configuration that lacks the sizes.
func dioSubject(c Config) holdertest.Subject {
	return holdertest.Subject{Name: "dio", Open: func(ctx context.Context, targetBytes, sourceBytes int64) (holder.Holder, error) {
		c.TargetBytes, c.SourceBytes, c.StoreBytes, c.Dir = targetBytes, sourceBytes, 64<<10, os.TempDir()
		return Open(ctx, c)
	}}
}

// TestDIOTooEarly has the reads return before the second write: the holder must
// say that it held nothing, instead of a second write that did not happen.
func TestDIOTooEarly(t *testing.T) {
	r := holdertest.NewRig(t, dioSubject(Config{}), 2<<20, 2<<20)
	r.Must(r.Holder.Pin(t.Context(), r.Source, r.Region))
	r.Must(r.Holder.Held())
	r.Must(r.Holder.(*reader).device.letGo())
	if err := worktest.FirstError(t, r.Holder.Held); !fault.IsIneffective(err) {
		t.Errorf("held: %v, want ineffective", err)
	}
	if _, err := r.Holder.Write(t.Context(), holder.Step{Again: true}); !fault.IsIneffective(err) {
		t.Errorf("write: %v, want ineffective", err)
	}
}

// TestSubmitted wants the kernel to count what a thread reads directly, since a read is taken to be
// in flight by that.
func TestSubmitted(t *testing.T) {
	d, err := newGatedDevice(t.Context(), os.TempDir(), sourceSize)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	into, err := memory.MapAnonymous(sourceSize)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := holder.Submitted(unix.Gettid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.direct().ReadAt(into.Bytes, 0); err != nil {
		t.Fatal(err)
	}
	if after, err := holder.Submitted(unix.Gettid()); err != nil || after-before != sourceSize {
		t.Errorf("%d bytes before, %d after a read of %d, %v", before, after, sourceSize, err)
	}
}

const sourceSize = 2 << 20

// known is what the sources hold.
func known() []byte {
	bytes := make([]byte, sourceSize)
	payload.New(7, os.Getpagesize(), sourceSize).FillAll(bytes, 1)
	return bytes
}

// TestDIOSource reads from a device that is given and takes long: its bytes are to arrive.
func TestDIOSource(t *testing.T) {
	slow, err := newGatedDevice(t.Context(), os.TempDir(), sourceSize)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.supply(known()); err != nil {
		t.Fatal(err)
	}
	r := holdertest.NewRig(t, dioSubject(Config{Source: "/dev/" + slow.describe().Name}), 3<<20, sourceSize)
	r.Must(slow.hold())
	if !bytes.Equal(r.Holder.Content(), known()) {
		t.Error("the bytes that are to arrive are not those of the device")
	}
	r.Pin()
	r.Write(1)
	r.WantGeneration(1)
	r.Must(r.Holder.Held())
	ready := time.AfterFunc(2*time.Second, func() {
		if err := slow.letGo(); err != nil {
			t.Error(err)
		}
	})
	defer ready.Stop()
	r.Write(2)
	r.WantGeneration(2)
}

func TestDIOSourceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, known(), 0o400); err != nil {
		t.Fatal(err)
	}
	file, err := Open(t.Context(), Config{TargetBytes: sourceSize, SourceBytes: sourceSize, Source: path})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Content(), known()) {
		t.Error("the bytes that are to arrive are not those of the file")
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

// TestDIOSourceFast reads from a device that is too fast to hold, or too small.
func TestDIOSourceFast(t *testing.T) {
	device := fastDevice(t, sourceSize)
	r := holdertest.NewRig(t, dioSubject(Config{Source: device}), 3<<20, sourceSize)
	err := r.Holder.Pin(t.Context(), r.Source, r.Region)
	if err == nil {
		err = worktest.FirstError(t, r.Holder.Held)
	}
	if !fault.IsIneffective(err) {
		t.Errorf("a fast device: %v, want ineffective", err)
	}
	_, err = Open(t.Context(), Config{TargetBytes: 2 * sourceSize, SourceBytes: 2 * sourceSize, Source: device})
	worktest.WantUsage(t, err, "it has 2097152 bytes and the reads take 4194304; give --anon-size 2097152 or a larger device")
}

// fastDevice is a loop device of so many bytes, which goes with the test.
func fastDevice(t *testing.T, size int64) string {
	t.Helper()
	f, err := file.Nameless(os.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := block.AttachLoop(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	return loop.Name()
}
