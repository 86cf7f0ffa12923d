package end

import (
	"errors"
	"slices"
	"testing"

	"umemstress/rdma"
)

// What a device cuts short goes on where it was cut, until it takes none, or fails otherwise.
func TestPostParts(t *testing.T) {
	failed := errors.New("failed")
	for what, of := range map[string]struct {
		most int // at once
		room int // in all
		end  error
		n    int
		err  error
	}{
		"all at once": {9, 9, nil, 7, nil},
		"in parts":    {3, 9, nil, 7, nil},
		"full":        {3, 5, rdma.ErrQueueFull, 5, rdma.ErrQueueFull},
		"no room":     {3, 0, rdma.ErrQueueFull, 0, rdma.ErrQueueFull},
		"broken":      {3, 5, failed, 5, failed},
	} {
		var taken []int
		n, err := postParts(func(part []int) (int, error) {
			n := min(len(part), of.most, of.room-len(taken))
			taken = append(taken, part[:n]...)
			switch {
			case n == len(part):
				return n, nil
			case len(taken) == of.room:
				return n, of.end
			}
			return n, rdma.ErrQueueFull
		}, []int{0, 1, 2, 3, 4, 5, 6})
		if n != of.n || !errors.Is(err, of.err) || err != nil && of.err == nil || !slices.Equal(taken, []int{0, 1, 2, 3, 4, 5, 6}[:n]) {
			t.Errorf("%s: %d, %v: %d were taken", what, n, err, taken)
		}
	}
}
