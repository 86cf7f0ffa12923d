//go:build guest

package folio

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/scenario"
)

const (
	fileBytes   = 6 << 20
	offset      = 129 << 12 // an odd page, so that large folios hold more than the region
	regionBytes = 2 << 20
)

// held maps a part of a new file of the file system, made with the kind's folios, and
// looks at what holds it.
func held(t *testing.T, fs, folios string) (Kind, *Pinned) {
	t.Helper()
	kind, region := mapped(t, fs, folios)
	pinned, err := Look(region)
	must(t, err)
	return kind, pinned
}

// mapped maps a part of such a file.
func mapped(t *testing.T, fs, folios string) (Kind, *memory.Region) {
	t.Helper()
	kind, ok := scenario.Find(Kinds(), folios)
	if !ok {
		t.Fatalf("no folios %s", folios)
	}
	system, ok := scenario.Find(filesystem.Kinds(), fs)
	if !ok {
		t.Fatalf("no file system %s", fs)
	}
	if kind.Fill != nil {
		system = system.InLargeFolios()
	}
	scratch, err := filesystem.NewScratch(os.TempDir(), system, fileBytes)
	must(t, err)
	t.Cleanup(func() { must(t, scratch.Close()) })
	must(t, scratch.Make(t.Context()))
	file, err := scratch.Create()
	must(t, err)
	t.Cleanup(func() { must(t, file.Close()) })
	must(t, file.Reserve(fileBytes))
	if kind.Fill != nil {
		filling := Filling{File: file.Handle, Bytes: fileBytes, From: offset, Until: offset + regionBytes}
		if system.Backing == scenario.OnDisk {
			filling.Evict = func() error { return file.Evict(fileBytes) }
		}
		must(t, kind.Fill(filling))
	}
	region, err := memory.MapFile(file.Handle, offset, regionBytes)
	must(t, err)
	t.Cleanup(func() { must(t, region.Close()) })
	if kind.Advise != nil {
		must(t, kind.Advise(region))
	}
	memory.Touch(region.Bytes)
	return kind, region
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pages of the region that the sizes tell of.
func pages(p *Pinned) (all uint64) {
	for _, s := range p.Sizes() {
		all += s.Pages
	}
	return all
}

// Single pages are single on every file system, also where it makes large folios.
func TestSingle(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		kind, p := held(t, fs, "single")
		must(t, kind.Check(p))
		if sizes := p.Sizes(); len(sizes) != 1 || sizes[0].Bytes != os.Getpagesize() || sizes[0].Folios != sizes[0].Pages || pages(p) != regionBytes/4096 {
			t.Errorf("%s: %+v", fs, sizes)
		}
		if p.LargePages() != 0 || p.Before() != 0 || p.After() != 0 {
			t.Errorf("%s: %d large pages, %d before and %d after", fs, p.LargePages(), p.Before(), p.After())
		}
	}
}

// Every kernel has huge pages of tmpfs: they hold the region and what lies beside it, and
// are no single pages.
func TestLargeOfMemory(t *testing.T) {
	kind, p := held(t, "tmpfs", "large")
	must(t, kind.Check(p))
	if sizes := p.Sizes(); len(sizes) != 1 || sizes[0].Bytes != 2<<20 || sizes[0].Folios != 2 || pages(p) != regionBytes/4096 {
		t.Errorf("%+v", sizes)
	}
	if before, after := p.Before(), p.After(); before != 129 || after != 512-129 {
		t.Errorf("the folios hold %d pages before and %d behind the region, want 129 and 383", before, after)
	}
	single, _ := scenario.Find(Kinds(), "single")
	if err := single.Check(p); !fault.IsIneffective(err) {
		t.Errorf("taken for single pages: %v", err)
	}
}

// On a disk, large folios are large or the check says that they are not: which it is differs
// between kernels.
func TestLargeOfDisk(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		kind, p := held(t, fs, "large")
		large := p.LargePages() == regionBytes/4096
		if err := kind.Check(p); large != (err == nil) || err != nil && !fault.IsIneffective(err) {
			t.Errorf("%s: %+v, and the check says: %v", fs, p.Sizes(), err)
		}
		if (p.Before() > 0 || p.After() > 0) && p.LargePages() == 0 {
			t.Errorf("%s: single pages that hold more than the region: %d, %d", fs, p.Before(), p.After())
		}
		t.Logf("%s: %+v", fs, p.Sizes())
	}
}

// A file that ext4 has written has its buffers, and nothing was stripped in between.
func TestPrivate(t *testing.T) {
	_, p := held(t, "ext4", "single")
	must(t, p.Mark())
	for _, f := range p.folios {
		if !f.Private {
			t.Fatalf("folio %+v of ext4 has no buffers", f)
		}
	}
	if pages, folios, err := p.Stripped(); pages != 0 || folios != 0 || err != nil {
		t.Errorf("stripped: %d pages, %d folios, %v", pages, folios, err)
	}
}

// A page that was clean is seen to be dirtied, alone or with its folio, and to be freed.
func TestWatchRelease(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			_, region := mapped(t, fs, "natural")
			must(t, unix.Msync(region.Bytes, unix.MS_SYNC))
			frames, err := memory.Frames(region.Bytes)
			must(t, err)
			watch, err := memory.WatchRelease(frames)
			must(t, err)
			if left, _, err := watch.Left(); left != len(frames) || err != nil {
				t.Errorf("%d of %d pages are left before anything happens, %v", left, len(frames), err)
			}
			look, err := memory.OpenFrameFlags()
			must(t, err)
			first, err := look.Folio(frames[0])
			must(t, errors.Join(err, look.Close()))
			region.Bytes[0] = 1
			left, large, err := watch.Left()
			if dirtied := len(frames) - left; err != nil || dirtied < 1 || dirtied > first.Pages || large > left {
				t.Errorf("%d pages of a folio of %d were dirtied, %d are left, %d of them in large folios, %v", dirtied, first.Pages, left, large, err)
			}
			must(t, unix.Madvise(region.Bytes, unix.MADV_REMOVE)) // a hole
			worktest.Eventually(t, "the other pages are freed", func() bool {
				left, _, err := watch.Left()
				must(t, err)
				return left == 0
			})
		})
	}
}
