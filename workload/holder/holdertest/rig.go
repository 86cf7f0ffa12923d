package holdertest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"umemstress/workload/filesystem"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/payload"
)

// Subject is a holder that is tested.
type Subject struct {
	Name string
	Open func(ctx context.Context, targetBytes, sourceBytes int64) (holder.Holder, error)
	// MayRefuse: kernels may refuse its pin.
	MayRefuse bool
	// Lacks says why this kernel cannot have it; "": it is to have it.
	Lacks string
}

// Rig is a holder over a file of a scratch file system.
type Rig struct {
	*testing.T
	Holder         holder.Holder
	File           *filesystem.File
	Region, Source *memory.Region
	Payload        payload.Payload
	mayRefuse      bool
}

// NewRig opens the holder over a file and a source of the given sizes, in bytes.
func NewRig(t *testing.T, s Subject, fileBytes, sourceBytes int64) *Rig {
	h, err := s.Open(t.Context(), fileBytes, sourceBytes)
	var lacks interface{ HostLacks() bool }
	if s.Lacks != "" && errors.As(err, &lacks) {
		t.Skipf("%s: %v", s.Lacks, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.Lacks != "" {
		t.Errorf("it is there, though %s", s.Lacks)
	}
	r := &Rig{T: t, Holder: h, Payload: payload.New(1, os.Getpagesize(), sourceBytes), mayRefuse: s.MayRefuse}
	r.Payload.Content = h.Content()
	t.Cleanup(func() { r.Must(h.Close()) })
	r.mapFile(fileBytes)
	r.Source, err = memory.MapAnonymous(int(sourceBytes))
	r.Must(err)
	t.Cleanup(func() { r.Must(r.Source.Close()) })
	return r
}

func (r *Rig) mapFile(bytes int64) {
	s, err := sharedScratch()
	r.Must(err)
	r.File, err = s.Create()
	r.Must(err)
	r.Cleanup(func() { r.Must(r.File.Close()) })
	r.Must(r.File.Reserve(bytes))
	r.Region, err = memory.MapFile(r.File.Handle, 0, int(bytes))
	r.Must(err)
	r.Cleanup(func() { r.Must(r.Region.Close()) })
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
	err := r.Holder.Pin(r.Context(), r.Source, r.Region)
	if r.mayRefuse && fault.IsPinRefused(err) {
		r.Skipf("this kernel refuses: %v", err)
	}
	r.Must(err)
	r.Must(r.Holder.Held())
}

// Write fills the source and has the holder bring it.
func (r *Rig) Write(generation uint64) {
	r.Helper()
	r.Payload.FillAll(r.Source.Bytes, generation)
	sent, err := r.Holder.Write(r.Context(), holder.Step{Again: generation > 1})
	r.Must(err)
	r.Payload.Content = r.Holder.Content()
	if sent.Bytes != uint64(len(r.Region.Bytes)) || sent.Operations == 0 {
		r.Errorf("write %d: %+v, want %d bytes", generation, sent, len(r.Region.Bytes))
	}
}

// WantGeneration compares what the mapping shows.
func (r *Rig) WantGeneration(generation uint64) {
	r.Helper()
	want := make([]byte, len(r.Region.Bytes))
	r.Payload.FillAll(want, generation)
	if !bytes.Equal(r.Region.Bytes, want) {
		r.Errorf("the mapping does not show the bytes of write %d", generation)
	}
}
