//go:build guest

package workload

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// arrivalRig is a run that has come as far as that bytes arrive, on a file system of its own.
func arrivalRig(t *testing.T, fs string, pages int) *run {
	t.Helper()
	kind, ok := scenario.Find(filesystem.Kinds(), fs)
	if !ok {
		t.Fatalf("there is no file system %q", fs)
	}
	o := quick()
	o.Scenario.Filesystem, o.FileBytes = fs, int64(pages*os.Getpagesize())
	r := &run{options: o, record: &record.Record{Facts: &scenario.Facts{}, Channels: record.NoChannels()}}
	r.payload = payload.New(1, os.Getpagesize(), o.FileBytes)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.scratch, err = filesystem.NewScratch(t.TempDir(), kind, o.FileBytes)
	must(err)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	must(r.scratch.Make(t.Context()))
	r.file, err = r.scratch.Create()
	must(err)
	must(r.file.Reserve(o.FileBytes))
	r.region, err = memory.MapFile(r.file.Handle, 0, int(o.FileBytes))
	must(err)
	return r
}

// state is what a look is not to change: which pages are mapped, which are cached, and when the file
// was read last.
func (r *run) state(t *testing.T) (mapped int, cached []bool, atime unix.Timespec) {
	t.Helper()
	mapped, err := memory.MappedPages(r.region.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if cached, err = memory.CachedPages(r.region.Bytes); err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(r.file.Handle.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return mapped, cached, stat.Atim
}

// look looks, and wants nothing changed by it.
func (r *run) look(t *testing.T, generation uint64) record.ArrivalChannel {
	t.Helper()
	mapped, cached, atime := r.state(t)
	r.record.Channels.Arrival, r.corrupt = record.ArrivalChannel{State: record.StateAbsent}, nil
	if err := r.lookAtArrived(t.Context(), generation); err != nil {
		t.Fatal(err)
	}
	mappedAfter, cachedAfter, atimeAfter := r.state(t)
	if mapped != mappedAfter || atime != atimeAfter {
		t.Errorf("%d pages were mapped before the look and %d after it; the file was read at %v and at %v", mapped, mappedAfter, atime, atimeAfter)
	}
	for page := range cached {
		if cached[page] != cachedAfter[page] {
			t.Errorf("page %d: cached %v before the look, %v after it", page, cached[page], cachedAfter[page])
		}
	}
	return r.record.Channels.Arrival
}

// What is corrupt is found where it is mapped and where it is only cached; what is neither is not looked
// at; and a look changes nothing of that.
func TestLookAtArrived(t *testing.T) {
	const pages = 600
	size := os.Getpagesize()
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			r := arrivalRig(t, fs, pages)
			if err := unix.Madvise(r.region.Bytes, unix.MADV_RANDOM); err != nil { // in folios of a page each, which a hole takes whole
				t.Fatal(err)
			}
			r.payload.FillAll(r.region.Bytes, 1)
			if got := r.look(t, 1); got.State != record.StateOK || got.CheckedPages != pages || got.UnseenPages+got.CorruptBytes != 0 || got.Looks != 1 {
				t.Errorf("mapped and right: %+v", got)
			}
			if got := r.look(t, 2); got.CorruptPages != pages || got.DisplacedPages != 0 {
				t.Errorf("mapped, and what came before: %+v", got)
			}
			page := r.region.Bytes[9*size:][:size]
			sent := bytes.Clone(page)
			copy(page, sent[size/4:size/2])
			if got := r.look(t, 1); got.CorruptPages != 1 || got.DisplacedPages != 1 {
				t.Errorf("a page that begins with what belongs further on: %+v", got)
			}
			copy(page, sent)
			r.region.Bytes[7*size+3] ^= 0xff
			r.region.Bytes[7*size+9] ^= 1
			r.region.Bytes[pages*size-1] ^= 1
			wrong := func(how string, unseen uint64) {
				t.Helper()
				got := r.look(t, 1)
				if got.CheckedPages != pages-unseen || got.UnseenPages != unseen || got.CorruptPages != 2 || got.CorruptBytes != 3 || *got.FirstCorrupt != int64(7*size+3) {
					t.Errorf("%s: %+v", how, got)
				}
				for page := range uint64(pages) {
					if is := r.arrivedCorrupt(1)(page); is != (page == 7 || page == pages-1) || r.arrivedCorrupt(2)(page) {
						t.Errorf("%s: page %d is corrupt: %v", how, page, is)
					}
				}
			}
			wrong("mapped", 0)
			half := r.region.Bytes[:pages/2*size]
			for _, part := range [][]byte{half, r.region.Bytes} {
				if err := unix.Madvise(part, unix.MADV_DONTNEED); err != nil { // unmaps, and leaves the cache as it is
					t.Fatal(err)
				}
				wrong("cached alone", 0)
			}
			if err := file.Allocate(r.file.Handle, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(20*size), int64(5*size)); err != nil {
				t.Fatal(err)
			}
			wrong("with a hole", 5)
			r.record.Facts.Detaches = true
			if got := r.look(t, 2); got.UnseenPages != pages || got.State != record.StateAbsent || got.Why == "" {
				t.Errorf("taken from the file: %+v", got)
			}
		})
	}
}

// A run looks at all that both of its write phases bring, and with --check off at nothing.
func TestArrivalChannel(t *testing.T) {
	for check, want := range map[string]uint64{CheckOn: 2 * 1024, CheckOff: 0} {
		o := quick()
		o.FileBytes, o.AnonBytes, o.Check, o.Observe, o.Output = 4<<20, 4<<20, check, ObserveOff, t.TempDir()+"/evidence"
		o.Scenario.Holder = "vmci" // which no kernel refuses
		o.MessageBytes = 4096
		o.AllowCrash = true
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Channels.Arrival; got.CheckedPages != want || got.CorruptBytes+got.UnseenPages != 0 {
			t.Errorf("%s: %+v", check, got)
		}
	}
}
