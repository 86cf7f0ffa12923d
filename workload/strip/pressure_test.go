package strip

import (
	"testing"
	"time"
)

// The hog comes to nearly all memory of a large machine without waiting for longer
// than it takes: some 0.5 s a GiB, for a processor that clears 2 GiB/s.
func TestHogStep(t *testing.T) {
	for _, memory := range []int64{1 << 30, 24 << 30, 512 << 30, 2 << 40} {
		left, steps := memory, int64(0)
		for ; left > 64<<20; steps++ {
			left -= hogStep(left)
		}
		paused, filled := time.Duration(steps)*pressurePause, time.Duration(memory>>30)*time.Second/2
		if paused > filled {
			t.Errorf("%d GiB take %v in %d steps, and %v between them", memory>>30, filled, steps, paused)
		}
	}
}
