// Package strip takes the buffers of pinned pages, by reclaim or by whoever else can. A new
// way is a file and a line in [Kinds].
package strip

import (
	"context"
	"os"

	"umemstress/workload/folio"
	"umemstress/workload/internal/memory"
	"umemstress/workload/scenario"
)

// Target is what is to be stripped.
type Target struct {
	Region *memory.Region
	File   *os.File
	Folios *folio.Pinned // that hold the region; nil: nobody could look
}

// Stripper has reclaim, or whoever else can, take the buffers of a region's
// pages while they are pinned.
type Stripper interface {
	// Strip returns an ineffective error when it ran and had no effect that can be
	// seen from outside.
	Strip(ctx context.Context, t Target) error
	// Close undoes what opening the stripper and stripping changed on this machine; it may
	// be called at any time.
	Close() error
}

// Kind is a way to strip that a scenario can name.
type Kind struct {
	scenario.Strip
	// Open readies the machine, before any page of the regions exists.
	Open func(ctx context.Context) (Stripper, error)
}

// Kinds are all ways to strip. Adding one takes a file and a line here.
func Kinds() []Kind {
	return []Kind{
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "pageout", What: "madvise(MADV_PAGEOUT): reclaim takes the buffers of the pinned pages"}, Splits: true},
			Open:  just(stripPageout),
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "cold", What: "madvise(MADV_COLD): the kernel tries to split a large folio that is mapped in part, and takes its buffers first"}, NeedsLarge: true, Splits: true},
			Open:  just(stripCold),
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "memcg", What: "memory.reclaim, or memory.high, of a cgroup of the run's own: reclaim takes the buffers"}},
			Open:  openMemcg,
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "pressure", What: "a child takes all free memory until kswapd comes to the pinned pages"}},
			Open:  openPressure,
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "drop-caches", What: "munmap, then /proc/sys/vm/drop_caches, of the whole machine"}},
			Open:  just(stripDropCaches),
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "fadvise", What: "munmap, then posix_fadvise(POSIX_FADV_DONTNEED)"}},
			Open:  just(stripFadvise),
		},
		{
			Strip: scenario.Strip{Choice: scenario.Choice{Name: "none", What: "nothing is stripped"}},
			Open:  just(stripNothing),
		},
	}
}

// stripFunc is a stripper that needs no preparation.
type stripFunc func(ctx context.Context, t Target) error

func (f stripFunc) Strip(ctx context.Context, t Target) error {
	return f(ctx, t)
}

func (stripFunc) Close() error { return nil }

func just(f stripFunc) func(context.Context) (Stripper, error) {
	return func(context.Context) (Stripper, error) { return f, nil }
}

func stripNothing(context.Context, Target) error { return nil }
