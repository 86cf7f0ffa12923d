package workload

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	before := Left(t)
	t.Run("run", test)
	WantLeft(t, before)
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
			r.Payload.fillAll(r.Source.mem, 2)
			r.Must(unix.Msync(r.File.mem, unix.MS_SYNC))
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
		r.Must(unix.Msync(r.File.mem, unix.MS_SYNC))
		r.Must(unix.Fallocate(int(r.Target.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(len(r.File.mem))))
		r.Write(2)
		r.Must(r.Holder.Release(t.Context()))
		if !bytes.Equal(r.File.mem, make([]byte, len(r.File.mem))) {
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
		r.Must(r.File.Close())
		r.Payload.fillAll(r.Source.mem, 2)
		sent, err := r.Holder.Write(t.Context(), writeStep{Again: true})
		r.Must(err)
		if sent.Bytes != size {
			t.Errorf("%+v, want %d bytes", sent, size)
		}
		r.Must(r.Holder.Release(t.Context()))
		r.File, err = mapFile(r.Target.file, size)
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
			"interrupted": func(r *Rig) { _ = r.Holder.Pin(cancelled, r.Source, r.File) }, // it may be quicker than the context
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
