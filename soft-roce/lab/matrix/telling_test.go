package matrix

import (
	"slices"
	"testing"

	"umemstress/soft-roce/lab/kernels"
)

// Each cell that is left out is told of by one that stays, and the other way round: nothing
// stays that another tells of, but what is quick.
func TestTelling(t *testing.T) {
	for name, c := range map[string]struct {
		cells []Expectation
		want  []int
	}{
		"the first that is refused": {[]Expectation{
			{Kernel: "sid", Scenario: "rdma/ext4/pageout/none", Verdict: "refused"},
			{Kernel: "sid", Scenario: "rdma/ext4/none/punch", Verdict: "refused"},
			{Kernel: "sid", Scenario: "rdma/xfs/none/punch", Verdict: "refused"},
			{Kernel: "6.12", Scenario: "rdma/ext4/none/punch", Verdict: "refused"},
			{Kernel: "sid", Scenario: "dio/ext4/none/punch", Verdict: "refused"},
		}, []int{0, 2, 3, 4}},
		"one that is quick speaks, too": {[]Expectation{
			{Kernel: "sid", Scenario: "rdma/ext4/pageout/none", Verdict: "refused"},
			{Kernel: "sid", Scenario: "rdma/ext4/none/punch", Verdict: "refused", Quick: true},
		}, []int{0, 1}},
		"no large folios": {[]Expectation{
			{Kernel: "5.10", Scenario: "dio/xfs/none/none/large", Verdict: "inconclusive"},
			{Kernel: "5.10", Scenario: "dio/xfs/none/punch/large", Verdict: "inconclusive"},
			{Kernel: "5.10", Scenario: "dio/xfs/none/odirect-write", Verdict: "inconclusive"},
			{Kernel: "5.10", Scenario: "dio/xfs/none/read", Verdict: "inconclusive"},
		}, []int{0, 2, 3}},
		"a kernel as those around it": {[]Expectation{
			{Kernel: "5.10", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "6.1", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "6.12", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "sid", Scenario: "dio/ext4/none/punch", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/ext4/none/none", Verdict: "clean"},
			{Kernel: "6.12", Scenario: "dio/ext4/none/none", Verdict: "clean"},
		}, []int{0, 2, 3, 4, 5}},
		"a file system that is written as another": {[]Expectation{
			{Kernel: "6.1", Scenario: "dio/ext4/pageout/none", Verdict: "data-lost"},
			{Kernel: "6.1", Scenario: "dio/ext4-encrypted/pageout/none", Verdict: "data-lost"},
			{Kernel: "6.1", Scenario: "dio/ext4-dm-crypt/pageout/none", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/ext4-journal/pageout/none", Verdict: "data-lost"},
			{Kernel: "6.1", Scenario: "dio/ext4-bigalloc/none/none", Verdict: "clean"},
		}, []int{0, 2, 3, 4}},
		"a kernel like another": {[]Expectation{
			{Kernel: "6.12", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "trixie", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "6.12", Scenario: "dio/ext4/none/none", Verdict: "clean"},
			{Kernel: "trixie", Scenario: "dio/ext4/none/none", Verdict: "data-lost"},
			{Kernel: "trixie", Scenario: "dio/tmpfs/none/none", Verdict: "clean"},
			{Kernel: "5.10", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
		}, []int{0, 2, 3, 4, 5}},
	} {
		got := Telling(c.cells)
		var want []Expectation
		for _, i := range c.want {
			want = append(want, c.cells[i])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Of this program's own expectations, every verdict that a kernel is known for is told.
func TestTellingLeavesNoVerdictOut(t *testing.T) {
	all, err := Expected()
	if err != nil {
		t.Fatal(err)
	}
	telling := Telling(all)
	if len(telling) >= len(all) {
		t.Errorf("%d of %d cells tell", len(telling), len(all))
	}
	for _, e := range all {
		older, newer := kernels.Neighbours(e.Kernel)
		var groups []string
		for _, kernel := range []string{e.Kernel, kernels.Like(e.Kernel), older, newer} {
			there := e
			there.Kernel = kernel
			groups = append(groups, there.group())
		}
		if !slices.ContainsFunc(telling, func(other Expectation) bool {
			return (other.Scenario == e.Scenario || other.Scenario == e.writtenAs()) && other.Verdict == e.Verdict || e.group() != "" && slices.Contains(groups, other.group())
		}) {
			t.Errorf("nothing tells that %s ends in %s on %s", e.Scenario, e.Verdict, e.Kernel)
		}
	}
}
