// Package latency counts how long operations took, in bounded memory and with an error that is
// known.
package latency

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"umemstress/workload/record"
)

// A histogram tells durations apart by two decimal digits, so that none is told more than 1 % off,
// from a nanosecond to an hour. It takes 36 KiB, whatever is counted. A third digit would take eight times as
// much, and a run an eighth of a second more on an emulated processor, to go through it.
const (
	digits       = 2
	errorPercent = 1
	longest      = time.Hour // what lasts longer counts as that: an operation without an answer ends in seconds
)

// Histogram counts durations. It is used by one at a time.
type Histogram struct{ counts *hdrhistogram.Histogram }

// New is one that has counted nothing.
func New() *Histogram {
	return &Histogram{hdrhistogram.New(1, int64(longest), digits)}
}

// Add counts an operation.
func (h *Histogram) Add(took time.Duration) {
	_ = h.counts.RecordValue(int64(min(max(took, 0), longest))) // within the range that it was made for
}

// Count is how many operations took as long, as far as a histogram tells durations apart.
type Count struct {
	Nanoseconds int64 `json:"ns"`
	Operations  int64 `json:"n"`
}

// Take returns what was counted, the shortest first, and has the histogram begin anew.
func (h *Histogram) Take() (counts []Count) {
	if h.counts.TotalCount() == 0 {
		return nil
	}
	for _, bar := range h.counts.Distribution() {
		if bar.Count > 0 {
			counts = append(counts, Count{bar.From, bar.Count})
		}
	}
	h.counts.Reset()
	return counts
}

// maxOperations is more than any number of runs has, so that sums of counts do not overflow.
const maxOperations = 1 << 50

// Merge adds what another histogram, also one of another host, has counted: all of it, or nothing.
func (h *Histogram) Merge(counts []Count) error {
	sum := h.counts.TotalCount()
	for _, c := range counts {
		if c.Nanoseconds < 0 || c.Nanoseconds > int64(longest) || c.Operations < 1 || c.Operations > maxOperations-sum {
			return fmt.Errorf("%d operations of %d ns are not what a histogram of operations has", c.Operations, c.Nanoseconds)
		}
		sum += c.Operations
	}
	for _, c := range counts {
		_ = h.counts.RecordValues(c.Nanoseconds, c.Operations) // within the range that it was made for
	}
	return nil
}

// Summary is what run.json has of it, nil where nothing was counted.
func (h *Histogram) Summary() *record.Latency {
	n := h.counts.TotalCount()
	if n == 0 {
		return nil
	}
	at := h.counts.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	return &record.Latency{
		Completions: uint64(n), ErrorPercent: errorPercent,
		Min: micros(h.counts.Min()), P50: micros(at[0]), P90: micros(at[1]), P99: micros(at[2]), P999: micros(at[3]), Max: micros(h.counts.Max()),
		Mean: h.counts.Mean() / 1e3, Deviation: h.counts.StdDev() / 1e3,
	}
}

func micros(nanoseconds int64) float64 { return float64(nanoseconds) / 1e3 }
