package workload

import (
	"context"
	"os"
)

// stripper has reclaim, or whoever else can, take the buffers of a region's
// pages while they are pinned.
type stripper interface {
	// Strip returns an ineffective error when it ran and had no effect that can be
	// seen from outside.
	Strip(ctx context.Context, r *region, file *os.File) error
	// Close undoes what opening the stripper and stripping changed on this machine; it may
	// be called at any time.
	Close() error
}

// stripKind is a way to strip that a scenario can name.
type stripKind struct {
	Strip
	// open readies the machine, before any page of the regions exists.
	open func(ctx context.Context) (stripper, error)
}

// stripKinds are all ways to strip. Adding one takes a file and a line here.
func stripKinds() []stripKind {
	return []stripKind{
		{Strip{Choice: Choice{"pageout", "madvise(MADV_PAGEOUT): reclaim takes the buffers of the pinned pages"}, SinglePages: true}, just(stripPageout)},
		{Strip{Choice: Choice{"memcg", "memory.reclaim, or memory.high, of a cgroup of the run's own: reclaim takes the buffers"}}, openMemcg},
		{Strip{Choice: Choice{"pressure", "a child takes all free memory until kswapd comes to the pinned pages"}}, openPressure},
		{Strip{Choice: Choice{"drop-caches", "munmap, then /proc/sys/vm/drop_caches, of the whole machine"}}, just(stripDropCaches)},
		{Strip{Choice: Choice{"fadvise", "munmap, then posix_fadvise(POSIX_FADV_DONTNEED)"}}, just(stripFadvise)},
		{Strip{Choice: Choice{"none", "nothing is stripped"}}, just(stripNothing)},
	}
}

// stripFunc is a stripper that needs no preparation.
type stripFunc func(ctx context.Context, r *region, file *os.File) error

func (f stripFunc) Strip(ctx context.Context, r *region, file *os.File) error {
	return f(ctx, r, file)
}

func (stripFunc) Close() error { return nil }

func just(f stripFunc) func(context.Context) (stripper, error) {
	return func(context.Context) (stripper, error) { return f, nil }
}

func stripNothing(context.Context, *region, *os.File) error { return nil }
