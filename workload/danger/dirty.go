package danger

import (
	"fmt"

	"umemstress/workload/witness"
)

// DirtyLimit is the name of the danger that so many pages count as dirty for ever that the
// machine's writers are throttled.
const DirtyLimit = "dirty pages"

// dirtyLimit reckons with pages that the run loses, which count as dirty from then on beside those
// that did before it.
func dirtyLimit(before, pages uint64) Danger {
	now, err := witness.CountDirty()
	return Danger{
		Name: DirtyLimit, Present: err == nil && before+pages >= now.Limit, Unknown: err,
		question: "how many pages count as dirty",
		Effect: fmt.Sprintf("%d pages count as dirty, the kernel allows %d (vm.dirty_ratio), and what ext4 drops of the %d pages of a run counts until the next boot: where they are so many, writers of the machine crawl or stand still",
			before, now.Limit, pages),
	}
}
