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
		"the first that crashes": {[]Expectation{
			{Kernel: "5.10-unfixed", Scenario: "dio/ext4/pageout/none", Verdict: "crashed"},
			{Kernel: "5.10-unfixed", Scenario: "dio/ext4/memcg/none", Verdict: "crashed"},
			{Kernel: "5.10-unfixed", Scenario: "dio/ext4/none/none", Verdict: "clean"},
			{Kernel: "5.10-unfixed", Scenario: "dio/ext2/pageout/none", Verdict: "crashed"},
			{Kernel: "5.10-unfixed", Scenario: "rdma/ext4/memcg/none", Verdict: "crashed"},
		}, []int{0, 2, 3, 4}},
		"a strip and a mutation, whoever pins": {[]Expectation{
			{Kernel: "5.10", Scenario: "rdma/ext4/memcg/none", Verdict: "data-lost", Pages: "all"},
			{Kernel: "5.10", Scenario: "dio/ext4/memcg/none", Verdict: "data-lost", Pages: "all"},
			{Kernel: "5.10", Scenario: "vmci/ext4/memcg/none", Verdict: "data-lost", Pages: "some"},
			{Kernel: "5.10", Scenario: "nfs/ext4/memcg/none", Verdict: "clean"},
			{Kernel: "5.10", Scenario: "dio/xfs/memcg/none", Verdict: "data-lost", Pages: "all"},
			{Kernel: "5.10", Scenario: "rdma/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "5.10", Scenario: "dio/ext4/none/punch", Verdict: "data-lost"},
			{Kernel: "5.10", Scenario: "dio/ext4/none/punch/large", Verdict: "data-lost"},
			{Kernel: "5.10", Scenario: "rdma/ext4/pageout/none", Verdict: "data-lost"},
			{Kernel: "5.10", Scenario: "dio/ext4/pageout/none", Verdict: "data-lost"},
			{Kernel: "5.10", Scenario: "rdma/xfs/none/reflink", Verdict: "corrupted"},
			{Kernel: "5.10", Scenario: "dio/xfs/none/reflink", Verdict: "corrupted"},
		}, []int{0, 2, 3, 4, 5, 7, 8, 9, 10, 11}},
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
		"a file system without a page cache": {[]Expectation{
			{Kernel: "6.1", Scenario: "dio/ext4-dax/none/none", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/xfs-dax/none/none", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/xfs-dax/none/reflink", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/ext4-dax/none/punch", Verdict: "clean"},
			{Kernel: "6.1", Scenario: "dio/xfs-dax/none/punch", Verdict: "data-lost"},
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
	at := map[[2]string]Expectation{}
	for _, e := range all {
		at[[2]string{e.Kernel, e.Scenario}] = e
	}
	// told follows cells that end in the same, one as the next, to one that stays. Kernels between two
	// others lean on each other, and on those at the ends.
	var told func(e Expectation) bool
	leaning := map[Expectation]bool{}
	told = func(e Expectation) bool {
		if leaning[e] {
			return true
		}
		leaning[e] = true
		defer delete(leaning, e)
		as := func(kernel, scenario string) bool {
			other, there := at[[2]string{kernel, scenario}]
			return there && other.Verdict == e.Verdict && told(other)
		}
		older, newer := kernels.Neighbours(e.Kernel)
		return slices.ContainsFunc(telling, func(other Expectation) bool {
			return other == e || e.group() != "" && other.group() == e.group()
		}) || as(kernels.Like(e.Kernel), e.Scenario) || as(e.Kernel, e.likeElsewhere()) || as(older, e.Scenario) && as(newer, e.Scenario)
	}
	for _, e := range all {
		if !told(e) {
			t.Errorf("nothing tells that %s ends in %s on %s", e.Scenario, e.Verdict, e.Kernel)
		}
	}
}
