// Package holdertest says whether a holder does what a run wants of it, on a real kernel.
package holdertest

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
)

// Conform wants of a holder what a run wants of every one of them.
func Conform(t *testing.T, s Subject) {
	t.Run("write", func(t *testing.T) { conformWrite(t, s) })
	t.Run("keep pages", func(t *testing.T) { conformKeepPages(t, s) })
	t.Run("unmapped", func(t *testing.T) { conformUnmapped(t, s) })
	t.Run("close", func(t *testing.T) { conformClose(t, s) })
}

// nothingLeft runs a test and wants nothing left when it is over.
func nothingLeft(t *testing.T, test func(t *testing.T)) {
	if _, err := sharedScratch(); err != nil {
		t.Fatal(err)
	}
	before := worktest.Left(t)
	t.Run("run", test)
	worktest.WantLeft(t, before)
}

// conformWrite is what the phases of a run want of every holder.
func conformWrite(t *testing.T, s Subject) {
	page := int64(os.Getpagesize())
	for _, size := range []struct{ file, anon int64 }{
		{6 << 20, 4 << 20}, {2<<20 + page, 12 << 10}, {page, 2 * page},
	} {
		nothingLeft(t, func(t *testing.T) {
			r := NewRig(t, s, size.file, size.anon)
			r.Pin()
			r.Write(1)
			r.WantGeneration(1)
			r.Payload.FillAll(r.Source.Bytes, 2)
			r.Must(unix.Msync(r.Region.Bytes, unix.MS_SYNC))
			r.Must(r.Holder.Held())
			r.WantGeneration(1) // nothing arrives before it is asked for
			r.Write(2)
			r.Must(r.Holder.Release(t.Context()))
			r.WantGeneration(2)
			r.Must(r.Holder.Close())
			r.Must(r.Holder.Close())
		})
	}
}

// conformKeepPages proves that the pages are pinned from pin on: a hole takes
// them away from the file, and what arrives goes with them. A holder that only
// pinned its pages later would write into the new ones.
func conformKeepPages(t *testing.T, s Subject) {
	nothingLeft(t, func(t *testing.T) {
		r := NewRig(t, s, 5<<20, 5<<20)
		r.Pin()
		r.Write(1)
		r.Must(unix.Msync(r.Region.Bytes, unix.MS_SYNC))
		r.Must(unix.Fallocate(int(r.File.Handle.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(len(r.Region.Bytes))))
		r.Write(2)
		r.Must(r.Holder.Release(t.Context()))
		if !bytes.Equal(r.Region.Bytes, make([]byte, len(r.Region.Bytes))) {
			t.Error("bytes of the second write are in the file: its pages were not pinned before the hole was punched")
		}
	})
}

// conformUnmapped unmaps the target in the middle, as some ways to strip do.
// The pages are those of the file all the same.
func conformUnmapped(t *testing.T, s Subject) {
	nothingLeft(t, func(t *testing.T) {
		const size = 5 << 20
		r := NewRig(t, s, size, 3<<20)
		r.Pin()
		r.Write(1)
		r.Must(r.Region.Close())
		r.Payload.FillAll(r.Source.Bytes, 2)
		sent, err := r.Holder.Write(t.Context(), holder.Step{Again: true})
		r.Must(err)
		r.Payload.Content = r.Holder.Content()
		if sent.Bytes != size {
			t.Errorf("%+v, want %d bytes", sent, size)
		}
		r.Must(r.Holder.Release(t.Context()))
		r.Region, err = memory.MapFile(r.File.Handle, 0, size)
		r.Must(err)
		r.WantGeneration(2)
	})
}

// conformClose ends holders in the middle of their hold.
func conformClose(t *testing.T, s Subject) {
	nothingLeft(t, func(t *testing.T) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for what, pin := range map[string]func(r *Rig){
			"not pinned":  func(r *Rig) {},
			"pinned":      func(r *Rig) { r.Pin() },
			"interrupted": func(r *Rig) { _ = r.Holder.Pin(cancelled, r.Source, r.Region) }, // it may be quicker than the context
		} {
			r := NewRig(t, s, 8<<20, 8<<20)
			pin(r)
			started := time.Now()
			r.Must(r.Holder.Close())
			if took := time.Since(started); took > 15*time.Second {
				t.Errorf("%s: Close took %v", what, took)
			}
		}
	})
}
