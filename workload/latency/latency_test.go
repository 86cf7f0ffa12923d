package latency

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// What a histogram says is within its error of what was counted.
func TestSummary(t *testing.T) {
	h := New()
	if h.Summary() != nil || h.Take() != nil {
		t.Error("nothing was counted, and it tells of something")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []float64
	for range 100_000 {
		took := time.Duration(math.Exp(random.Float64()*20) * 1e2) // from 100 ns to 48 s
		h.Add(took)
		all = append(all, float64(took)/1e3)
	}
	slices.Sort(all)
	at := func(percent float64) float64 { return all[int(math.Ceil(percent/100*float64(len(all))))-1] }
	s := h.Summary()
	if s.Completions != 100_000 || s.ErrorPercent != 1 {
		t.Errorf("%+v", s)
	}
	for what, of := range map[string][2]float64{
		"min": {s.Min, all[0]}, "50": {s.P50, at(50)}, "90": {s.P90, at(90)}, "99": {s.P99, at(99)}, "99.9": {s.P999, at(99.9)}, "max": {s.Max, all[len(all)-1]},
	} {
		if off := math.Abs(of[0]-of[1]) / of[1]; off > 0.01 {
			t.Errorf("%s: %v for %v, which is %.3f %% off", what, of[0], of[1], 100*off)
		}
	}
}

// Nothing is out of its range.
func TestAddExtremes(t *testing.T) {
	h := New()
	for _, took := range []time.Duration{math.MinInt64, -1, 0, 1, longest, longest + 1, math.MaxInt64} {
		h.Add(took)
	}
	if s := h.Summary(); s.Completions != 7 || s.Min != 0 || math.Abs(s.Max-float64(longest.Microseconds())) > 0.01*s.Max {
		t.Errorf("%+v", s)
	}
}

// What goes to another host and is added up there is what was counted here.
func TestTakeAndMerge(t *testing.T) {
	here, there := New(), New()
	for i := range 5000 {
		here.Add(time.Duration(i*i) * time.Microsecond)
	}
	want := *here.Summary()
	line, err := json.Marshal(here.Take())
	if err != nil {
		t.Fatal(err)
	}
	var counts []Count
	if err := json.Unmarshal(line, &counts); err != nil {
		t.Fatal(err)
	}
	if err := there.Merge(counts); err != nil {
		t.Fatal(err)
	}
	if got := *there.Summary(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if here.Summary() != nil {
		t.Error("what was taken is still there")
	}
	for _, bad := range [][]Count{
		{{-1, 1}}, {{int64(longest) + 1, 1}}, {{1, 0}}, {{1, -5}}, {{1, math.MaxInt64}}, {{1, 7}, {2, maxOperations}},
	} {
		if err := there.Merge(bad); err == nil {
			t.Errorf("%v is merged", bad)
		}
	}
	if got := *there.Summary(); got != want {
		t.Errorf("of what is refused, a part was added: %+v", got)
	}
}

// It takes the memory that the comment says, and none for an operation.
func TestMemory(t *testing.T) {
	h := New()
	if n := h.counts.ByteSize(); n < 34<<10 || n > 37<<10 {
		t.Errorf("%d bytes", n)
	}
	if n := testing.AllocsPerRun(1000, func() { h.Add(12345 * time.Nanosecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	h := New()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Add(time.Duration(i & 0xfffff))
	}
}

// Whatever another host says, it is added or refused.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(`[{"ns":1000,"n":3}]`))
	f.Add([]byte(`[{"ns":-1,"n":3},{"ns":9223372036854775807,"n":9223372036854775807}]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var counts []Count
		if json.Unmarshal(line, &counts) != nil {
			return
		}
		h := New()
		err := h.Merge(counts)
		if s := h.Summary(); err != nil && s != nil || s != nil && (s.Min > s.P50 || s.P50 > s.P999 || s.P999 > s.Max || s.Max > 1.01*float64(longest.Microseconds())) {
			t.Errorf("%v: %+v", err, s)
		}
	})
}
