//go:build guest

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/observe"
	"umemstress/rdma"
	"umemstress/workload/record"
)

// A million pages without buffers, released in one go, are counted one by one, and none is lost
// on the way that is not accounted for. Its guest has 6 GiB of memory, and a kernel that takes
// the buffers of pinned pages.
func TestMillionPages(t *testing.T) {
	const pages = 1 << 20
	o := beginObserving(t)
	g := newGauge(t, o)
	file, mem := mappedFile(t, pages)
	before := warnings(t, file)
	clock := time.Now()
	phase := func(what string) {
		t.Logf("%s: %s", what, time.Since(clock).Round(time.Millisecond))
		clock = time.Now()
		g.look(t)
	}
	mr, err := protectionDomain(t).RegisterMR(mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
	if err != nil {
		t.Fatal(err)
	}
	phase("pin")
	if err := unix.Msync(mem, unix.MS_SYNC); err != nil {
		t.Fatal(err)
	}
	phase("clean")
	// What is on another CPU's list yet is passed over by reclaim; this empties the lists.
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if err := unix.Madvise(mem, unix.MADV_PAGEOUT); err != nil {
		t.Fatal(err)
	}
	phase("strip")
	if err := mr.Close(); err != nil {
		t.Fatal(err)
	}
	phase("release")
	released := o.await(t, func(l observe.Line) bool { return l.Event == "released" })
	if released.Pages != pages || released.BufferlessPages != pages {
		t.Errorf("%+v", released)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	phase("drop")
	rise := warnings(t, file) - before
	peak := field(t, fmt.Sprintf("/proc/%d/status", g.pid), "VmHWM:") << 10
	summary, _ := o.end(t)
	total, told := summary.Total(), o.pages()
	t.Logf("told: %v; %+v; peak %d KiB", told, summary, peak>>10)
	if total.Stripped != pages || total.Bufferless != pages || total.Dropped != pages || rise != pages {
		t.Errorf("counted %+v, and ext4 %d; there were %d", total, rise, pages)
	}
	// An event is of a page, but for the release's, which is one.
	if told["dirtied"] != pages || told["stripped"]+told["dropped"]+summary.Lost.Events != 2*pages {
		t.Errorf("told of %v, lost %+v", told, summary.Lost)
	}
	if summary.Lost.Pages+summary.Lost.Releases+summary.Lost.Strips+summary.Lost.Pins != 0 {
		t.Errorf("lost %+v", summary.Lost)
	}
	if peak > maxResident {
		t.Errorf("the observer took %d bytes", peak)
	}
}

// A hundred thousand regions of a page are pinned and let go of one after the other by one run, and each
// page is found lost by whoever looks.
func TestHundredThousandRegions(t *testing.T) {
	const regions = 100_000
	r, _ := ran(t, "--file-size", strconv.Itoa(regions<<12), "--mr", strconv.Itoa(regions), "-o", filepath.Join(t.TempDir(), "evidence"))
	rise, _ := r.Channels.WarningRise()
	for _, p := range r.Phases {
		t.Logf("%s: %.1f s", p.Name, p.Seconds)
	}
	if r.Verdict != record.DataLost || len(r.Disagreements) > 0 || r.CleanupError != "" || rise != regions ||
		r.Channels.Probes.BufferlessPages != regions || r.Channels.Disk.StalePages != regions {
		t.Errorf("%s (%s): probes %+v, disk %+v, warning_count %d; %q; %s", r.Verdict, r.Reason, r.Channels.Probes, r.Channels.Disk, rise, r.Disagreements, r.CleanupError)
	}
}

// pages is of how many each event was told in all.
func (o *observation) pages() map[string]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := map[string]uint64{}
	for _, l := range o.lines {
		sum[l.Event] += l.Pages
	}
	return sum
}

// mappedFile maps a new file on the guest's ext4.
func mappedFile(tb testing.TB, pages int) (*os.File, []byte) {
	tb.Helper()
	file, err := os.Create(filepath.Join(tb.TempDir(), "region"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	if err := file.Truncate(int64(pages) << 12); err != nil {
		tb.Fatal(err)
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, pages<<12, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = unix.Munmap(mem) })
	return file, mem
}

func protectionDomain(tb testing.TB) *rdma.PD {
	tb.Helper()
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, err := rdma.Open(device)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := ctx.Close(); err != nil {
			tb.Error(err)
		}
	})
	pd, err := ctx.AllocPD()
	if err != nil {
		tb.Fatal(err)
	}
	return pd
}
