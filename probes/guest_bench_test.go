//go:build guest

package probes

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
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
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, releases()...)
		s, err := Attach(Options{})
		check(b, err)
		with = append(with, releases()...)
		check(b, s.Close())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(slices.Min(without).Microseconds())/1e3, "ms-without")
	b.ReportMetric(float64(slices.Min(with).Microseconds())/1e3, "ms-with")
	b.ReportMetric(float64(slices.Min(with))/float64(slices.Min(without)), "ratio")
}
