//go:build guest

package workload

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rig is a holder over a file of a scratch file system.
type rig struct {
	*testing.T
	holder        holder
	target        *target
	file, source  *region
	payload       payload
	refusedIsFine bool // the kernel may refuse this holder's pin
}

// newRig opens a holder of the table over a file of the given sizes, in bytes.
func newRig(t *testing.T, name string, fileBytes, anonBytes int64) *rig {
	o := quick()
	o.Scenario.Holder, o.FileBytes, o.AnonBytes, o.ScratchDir = name, fileBytes, anonBytes, os.TempDir()
	kind, _ := find(holderKinds, name)
	h, err := kind.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, holder: h, payload: newPayload(o, os.Getpagesize()), refusedIsFine: name == "rdma"}
	t.Cleanup(func() { r.must(h.Close()) })
	r.mapFile(fileBytes)
	r.source, err = mapAnonymous(int(anonBytes))
	r.must(err)
	t.Cleanup(func() { r.must(r.source.Close()) })
	return r
}

// sharedScratch is the file system that all files here are on. It goes with the
// process.
var sharedScratch = sync.OnceValues(func() (*scratch, error) {
	ext4, _ := find(filesystems, "ext4")
	return newScratch(context.Background(), os.TempDir(), ext4, 64<<20)
})

func (r *rig) mapFile(bytes int64) {
	s, err := sharedScratch()
	r.must(err)
	r.target, err = s.create()
	r.must(err)
	r.Cleanup(func() { r.must(r.target.Close()) })
	r.must(r.target.reserve(bytes))
	r.file, err = mapFile(r.target.file, int(bytes))
	r.must(err)
	r.Cleanup(func() { r.must(r.file.Close()) })
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// pin skips the test where the kernel refuses a pin that it may refuse.
func (r *rig) pin() {
	r.Helper()
	err := r.holder.pin(r.Context(), r.source, r.file)
	var refused pinRefused
	if r.refusedIsFine && errors.As(err, &refused) {
		r.Skipf("this kernel refuses: %v", err)
	}
	r.must(err)
	r.must(r.holder.held())
}

func (r *rig) write(generation uint64) {
	r.Helper()
	r.payload.fillAll(r.source.mem, generation)
	sent, err := r.holder.write(r.Context(), writeStep{again: generation > 1, messageBytes: 64 << 10})
	r.must(err)
	if sent.Bytes != uint64(len(r.file.mem)) || sent.Operations == 0 {
		r.Errorf("write %d: %+v, want %d bytes", generation, sent, len(r.file.mem))
	}
}

// wantGeneration compares what the mapping shows.
func (r *rig) wantGeneration(generation uint64) {
	r.Helper()
	want := make([]byte, len(r.file.mem))
	r.payload.fillAll(want, generation)
	if !bytes.Equal(r.file.mem, want) {
		r.Errorf("the mapping does not show the bytes of write %d", generation)
	}
}

// eachHolder runs a test for every holder of the table, and wants nothing left.
func eachHolder(t *testing.T, test func(t *testing.T, name string)) {
	for _, kind := range holderKinds {
		t.Run(kind.Name, func(t *testing.T) {
			if _, err := sharedScratch(); err != nil {
				t.Fatal(err)
			}
			before := left(t)
			t.Run("run", func(t *testing.T) { test(t, kind.Name) })
			wantLeft(t, before)
		})
	}
}

// left is what a holder could leave behind: descriptors, and block devices in use.
func left(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range []string{"/proc/self/fd/*", "/sys/block/dm-*", "/sys/block/loop*/loop/backing_file"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if to, err := os.Readlink(name); err != nil || filepath.Dir(name) != "/proc/self/fd" || filepath.Dir(to) == "/dev" {
				found[name+" "+to] = true
			}
		}
	}
	return found
}

func wantLeft(t *testing.T, before map[string]bool) {
	t.Helper()
	var more []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		more = nil
		for name := range left(t) {
			if !before[name] {
				more = append(more, name)
			}
		}
		if more == nil {
			return
		}
	}
	t.Errorf("left behind: %q", more)
}

// TestHoldersWrite is what the phases of a run want of every holder.
func TestHoldersWrite(t *testing.T) {
	page := int64(os.Getpagesize())
	for _, size := range []struct{ file, anon int64 }{
		{6 << 20, 4 << 20}, {2<<20 + page, 12 << 10}, {page, 2 * page},
	} {
		eachHolder(t, func(t *testing.T, name string) {
			r := newRig(t, name, size.file, size.anon)
			r.pin()
			r.write(1)
			r.wantGeneration(1)
			r.payload.fillAll(r.source.mem, 2)
			r.must(msync(r.file))
			r.must(r.holder.held())
			r.wantGeneration(1) // nothing arrives before it is asked for
			r.write(2)
			r.must(r.holder.release(t.Context()))
			r.wantGeneration(2)
			r.must(r.holder.Close())
			r.must(r.holder.Close())
		})
	}
}

// TestHoldersKeepPages proves that the pages are pinned from pin on: a hole takes
// them away from the file, and what arrives goes with them. A holder that only
// pinned its pages later would write into the new ones.
func TestHoldersKeepPages(t *testing.T) {
	eachHolder(t, func(t *testing.T, name string) {
		r := newRig(t, name, 5<<20, 5<<20)
		r.pin()
		r.write(1)
		r.must(msync(r.file))
		r.must(unix.Fallocate(int(r.target.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(len(r.file.mem))))
		r.write(2)
		r.must(r.holder.release(t.Context()))
		if !bytes.Equal(r.file.mem, make([]byte, len(r.file.mem))) {
			t.Error("bytes of the second write are in the file: its pages were not pinned before the hole was punched")
		}
	})
}

// TestHoldersUnmapped unmaps the target in the middle, as some ways to strip do.
// The pages are those of the file all the same.
func TestHoldersUnmapped(t *testing.T) {
	eachHolder(t, func(t *testing.T, name string) {
		const size = 5 << 20
		r := newRig(t, name, size, 3<<20)
		r.pin()
		r.write(1)
		r.must(r.file.Close())
		r.payload.fillAll(r.source.mem, 2)
		sent, err := r.holder.write(t.Context(), writeStep{again: true, messageBytes: 64 << 10})
		r.must(err)
		if sent.Bytes != size {
			t.Errorf("%+v, want %d bytes", sent, size)
		}
		r.must(r.holder.release(t.Context()))
		r.file, err = mapFile(r.target.file, size)
		r.must(err)
		r.wantGeneration(2)
	})
}

// TestHoldersClose ends holders in the middle of their hold.
func TestHoldersClose(t *testing.T) {
	eachHolder(t, func(t *testing.T, name string) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for what, pin := range map[string]func(r *rig){
			"not pinned":  func(r *rig) {},
			"pinned":      func(r *rig) { r.pin() },
			"interrupted": func(r *rig) { _ = r.holder.pin(cancelled, r.source, r.file) }, // it may be quicker than the context
		} {
			r := newRig(t, name, 8<<20, 8<<20)
			pin(r)
			started := time.Now()
			r.must(r.holder.Close())
			if took := time.Since(started); took > 15*time.Second {
				t.Errorf("%s: Close took %v", what, took)
			}
		}
	})
}
