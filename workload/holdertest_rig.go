package workload

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"
)

// Subject is a holder that is tested.
type Subject struct {
	Name string
	Open func(ctx context.Context, targetBytes, sourceBytes int64) (holder, error)
	// MayRefuse: kernels may refuse its pin.
	MayRefuse bool
}

// Rig is a holder over a file of a scratch file system.
type Rig struct {
	*testing.T
	Holder       holder
	Target       *target
	File, Source *region
	Payload      payload
	mayRefuse    bool
}

// NewRig opens the holder over a file and a source of the given sizes, in bytes.
func NewRig(t *testing.T, s Subject, fileBytes, sourceBytes int64) *Rig {
	h, err := s.Open(t.Context(), fileBytes, sourceBytes)
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{T: t, Holder: h, Payload: newPayload(1, os.Getpagesize(), sourceBytes), mayRefuse: s.MayRefuse}
	r.Payload.fixed = h.Content()
	t.Cleanup(func() { r.Must(h.Close()) })
	r.mapFile(fileBytes)
	r.Source, err = mapAnonymous(int(sourceBytes))
	r.Must(err)
	t.Cleanup(func() { r.Must(r.Source.Close()) })
	return r
}

// sharedScratch is the file system that all files here are on. It goes with the
// process.
var sharedScratch = sync.OnceValues(func() (*scratch, error) {
	ext4, _ := Find(filesystems(), "ext4")
	return newScratch(context.Background(), os.TempDir(), ext4, 64<<20)
})

func (r *Rig) mapFile(bytes int64) {
	s, err := sharedScratch()
	r.Must(err)
	r.Target, err = s.create()
	r.Must(err)
	r.Cleanup(func() { r.Must(r.Target.Close()) })
	r.Must(r.Target.reserve(bytes))
	r.File, err = mapFile(r.Target.file, int(bytes))
	r.Must(err)
	r.Cleanup(func() { r.Must(r.File.Close()) })
}

// Must fails the test on an error.
func (r *Rig) Must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// Pin skips the test where the kernel refuses a pin that it may refuse.
func (r *Rig) Pin() {
	r.Helper()
	err := r.Holder.Pin(r.Context(), r.Source, r.File)
	if r.mayRefuse && isPinRefused(err) {
		r.Skipf("this kernel refuses: %v", err)
	}
	r.Must(err)
	r.Must(r.Holder.Held())
}

// Write fills the source and has the holder bring it.
func (r *Rig) Write(generation uint64) {
	r.Helper()
	r.Payload.fillAll(r.Source.mem, generation)
	sent, err := r.Holder.Write(r.Context(), writeStep{Again: generation > 1})
	r.Must(err)
	if sent.Bytes != uint64(len(r.File.mem)) || sent.Operations == 0 {
		r.Errorf("write %d: %+v, want %d bytes", generation, sent, len(r.File.mem))
	}
}

// WantGeneration compares what the mapping shows.
func (r *Rig) WantGeneration(generation uint64) {
	r.Helper()
	want := make([]byte, len(r.File.mem))
	r.Payload.fillAll(want, generation)
	if !bytes.Equal(r.File.mem, want) {
		r.Errorf("the mapping does not show the bytes of write %d", generation)
	}
}
