package rdma

import (
	"testing"

	"umemstress/rdma/internal/verbs"
)

// So many READs are under way as both devices, and whoever asks, allow; one that tells nothing answers one.
func TestReadsUnderWay(t *testing.T) {
	_, ctx := newFake() // which has 8
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := ctx.CreateCQ(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked, remote int
		answers, asks uint8
	}{{0, 16, 8, 8}, {3, 16, 3, 3}, {255, 2, 8, 2}, {0, 0, 8, 1}} {
		qp, err := pd.CreateQP(QPConfig{SendCQ: cq, Reads: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		steps := []verbs.QPAttr{{}, {Mask: verbs.AttrMaxDestRDAtomic}, {Mask: verbs.AttrMaxRDAtomic}}
		qp.limitReads(steps, uint8(c.remote))
		if qp.Address().Reads != c.answers || steps[1].MaxDestRDAtomic != c.answers || steps[2].MaxRDAtomic != c.asks || steps[0] != (verbs.QPAttr{}) {
			t.Errorf("%+v: %+v, %+v", c, qp.Address(), steps)
		}
	}
	for _, reads := range []int{-1, 256} {
		_, err := pd.CreateQP(QPConfig{SendCQ: cq, Reads: reads})
		wantText(t, err, false, "Reads", "it must be from 1 to 255")
	}
}
