//go:build guest

package probes

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRelease measures the release of a region with probes attached
// against without, as the ratio of the fastest of many: what else runs on the
// machine can only add to it. For the same reason a region whose release takes
// long is smaller.
func BenchmarkRelease(b *testing.B) {
	b.Run("stripped", func(b *testing.B) { benchmarkRelease(b, 1024, func(p *pin) { p.cleanAndStrip(b) }) })
	b.Run("dirty", func(b *testing.B) { benchmarkRelease(b, 16384, func(*pin) {}) })
}

func benchmarkRelease(b *testing.B, pages int, prepare func(*pin)) {
	pd := openPD(b)
	p := mapFile(b, filepath.Join(b.TempDir(), "region"), pages)
	releases := func() []time.Duration {
		var times []time.Duration
		for range 20 {
			p.touch(0, 1)
			p.register(b, pd)
			prepare(&p)
			times = append(times, p.release(b))
		}
		return times
	}
	compare(b, releases)
}

// compare reports how long what takes with probes attached, and how long without.
func compare(b *testing.B, what func() []time.Duration) {
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, what()...)
		s, err := Attach(asRun())
		check(b, err)
		with = append(with, what()...)
		check(b, s.Close())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(slices.Min(without).Microseconds())/1e3, "ms-without")
	b.ReportMetric(float64(slices.Min(with).Microseconds())/1e3, "ms-with")
	b.ReportMetric(float64(slices.Min(with))/float64(slices.Min(without)), "ratio")
}

// BenchmarkOutside measures what the probes cost those who release nothing: to
// unmap pages of tmpfs that were written to passes the dirty hook for each of
// them, and does little else.
func BenchmarkOutside(b *testing.B) {
	const pages = 4096
	file, err := unix.MemfdCreate("pages", 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(file)) })
	check(b, unix.Ftruncate(file, pages*pageSize))
	unmaps := func() []time.Duration {
		var times []time.Duration
		for range 20 {
			mem, err := unix.Mmap(file, 0, pages*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			check(b, err)
			p := pin{mem: mem}
			p.touch(0, 1)
			start := time.Now()
			check(b, unix.Munmap(mem))
			times = append(times, time.Since(start))
		}
		return times
	}
	compare(b, unmaps)
}
