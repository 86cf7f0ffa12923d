package rdma

import (
	"net/netip"
	"testing"
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
		asked                 int
		remote, answers, asks uint8
	}{{0, 16, 8, 8}, {3, 16, 3, 3}, {255, 2, 8, 2}, {0, 0, 8, 1}} {
		qp, err := pd.CreateQP(QPConfig{SendCQ: cq, Reads: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		steps, _, err := connectSteps(qp.address, qp.reads, Address{Reads: c.remote}, netip.Addr{}, Path{Port: 1, MTU: 1024}, RC)
		if err != nil {
			t.Fatal(err)
		}
		if qp.Address().Reads != c.answers || steps[1].MaxDestRDAtomic != c.answers || steps[2].MaxRDAtomic != c.asks {
			t.Errorf("%+v: %+v, %+v", c, qp.Address(), steps)
		}
	}
	for _, reads := range []int{-1, 256} {
		_, err := pd.CreateQP(QPConfig{SendCQ: cq, Reads: reads})
		wantText(t, err, false, "Reads", "it must be from 1 to 255")
	}
}
