//go:build guest

package probes

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"umemstress/rdma"
)

// BenchmarkRelease measures the release of a 64 MiB region with probes attached
// against without, alternating, as the ratio of the medians.
func BenchmarkRelease(b *testing.B) {
	b.Run("stripped", func(b *testing.B) { benchmarkRelease(b, func(p *pin) { p.cleanAndStrip(b) }) })
	b.Run("dirty", func(b *testing.B) { benchmarkRelease(b, func(*pin) {}) })
}

func benchmarkRelease(b *testing.B, prepare func(*pin)) {
	pd := openPD(b)
	p := mapFile(b, filepath.Join(b.TempDir(), "region"), 16384)
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, timeRelease(b, pd, &p, prepare))
		s, err := Attach(Options{})
		check(b, err)
		with = append(with, timeRelease(b, pd, &p, prepare))
		check(b, s.Close())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(without).Microseconds())/1e3, "ms-without")
	b.ReportMetric(float64(median(with).Microseconds())/1e3, "ms-with")
	b.ReportMetric(float64(median(with))/float64(median(without)), "ratio")
}

func timeRelease(b *testing.B, pd *rdma.PD, p *pin, prepare func(*pin)) time.Duration {
	p.touch(0, 1)
	p.register(b, pd)
	prepare(p)
	return p.release(b)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
