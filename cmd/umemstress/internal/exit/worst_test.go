package exit

import "testing"

// What counts is what an outcome means, not its number; what no outcome ends in is a failure.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		codes []int
		want  int
	}{
		{nil, Clean}, {[]int{Clean, Clean}, Clean}, {[]int{HostLacks, Usage}, HostLacks}, {[]int{Interrupted, 4}, Interrupted},
		{[]int{Interrupted, Failed}, Failed}, {[]int{Clean, 77}, Failed}, {[]int{-1}, Failed}, {[]int{Failed, 10, Clean}, 10},
		{[]int{14, 12, Interrupted}, 14}, {[]int{12, 77}, 12},
	} {
		if got := Worst(c.codes); got != c.want {
			t.Errorf("%v: %d, want %d", c.codes, got, c.want)
		}
	}
}
