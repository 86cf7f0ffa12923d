//go:build guest

package workload

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// subject is the holder with a configuration that lacks the sizes.
func dioSubject(c dioConfig) Subject {
	return Subject{Name: "dio", Open: func(ctx context.Context, targetBytes, sourceBytes int64) (holder, error) {
		c.TargetBytes, c.SourceBytes, c.StoreBytes, c.Dir = targetBytes, sourceBytes, 64<<10, os.TempDir()
		return openDIO(ctx, c)
	}}
}

// TestDIOTooEarly has the reads return before the second write: the holder must
// say that it held nothing, instead of a second write that did not happen.
func TestDIOTooEarly(t *testing.T) {
	r := NewRig(t, dioSubject(dioConfig{Delay: 2 * time.Second}), 2<<20, 2<<20)
	r.Must(r.Holder.Pin(t.Context(), r.Source, r.File))
	if err := FirstError(t, r.Holder.Held); !isIneffective(err) {
		t.Errorf("held: %v, want ineffective", err)
	}
	if _, err := r.Holder.Write(t.Context(), writeStep{Again: true}); !isIneffective(err) {
		t.Errorf("write: %v, want ineffective", err)
	}
}

const sourceSize = 2 << 20

// known is what the sources hold.
func known() []byte {
	bytes := make([]byte, sourceSize)
	newPayload(7, os.Getpagesize(), sourceSize).fillAll(bytes, 1)
	return bytes
}

// TestDIOSource reads from a slow device that is given: its bytes are to arrive.
func TestDIOSource(t *testing.T) {
	slow, err := newSlowDevice(t.Context(), os.TempDir(), sourceSize, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.supply(known()); err != nil {
		t.Fatal(err)
	}
	r := NewRig(t, dioSubject(dioConfig{Source: "/dev/" + slow.describe().Name}), 3<<20, sourceSize)
	if !bytes.Equal(r.Holder.Content(), known()) {
		t.Error("the bytes that are to arrive are not those of the device")
	}
	r.Pin()
	r.Write(1)
	r.WantGeneration(1)
	r.Must(r.Holder.Held())
	r.Write(2)
	r.WantGeneration(2)
}

func TestDIOSourceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, known(), 0o400); err != nil {
		t.Fatal(err)
	}
	file, err := openDIO(t.Context(), dioConfig{TargetBytes: sourceSize, SourceBytes: sourceSize, Source: path})
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
	device := FastDevice(t, sourceSize)
	r := NewRig(t, dioSubject(dioConfig{Source: device}), 3<<20, sourceSize)
	err := r.Holder.Pin(t.Context(), r.Source, r.File)
	if err == nil {
		err = FirstError(t, r.Holder.Held)
	}
	if !isIneffective(err) {
		t.Errorf("a fast device: %v, want ineffective", err)
	}
	_, err = openDIO(t.Context(), dioConfig{TargetBytes: 2 * sourceSize, SourceBytes: 2 * sourceSize, Source: device})
	WantUsage(t, err, "it has 2097152 bytes and the reads take 4194304; give --anon-size 2097152 or a larger device")
}
