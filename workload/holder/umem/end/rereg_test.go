package end

import (
	"strings"
	"testing"
)

// What the other end's region becomes has the same pieces, by other keys, and what was brought there stays known.
func TestRenew(t *testing.T) {
	region := func(bytes int64, keys ...uint32) (r Region) {
		r.PieceBytes = bytes
		for i, key := range keys {
			r.Pieces = append(r.Pieces, Piece{Addr: 0x10000 + uint64(int64(i)*bytes), RKey: key})
		}
		return r
	}
	l := &ledger{}
	e := &End{theirs: region(4096, 1, 2), ledger: l}
	if err := e.Renew(region(4096, 3, 4)); err != nil || e.ledger != l || l.theirs != nil {
		t.Errorf("%v; %+v", err, e.ledger)
	}
	if addr, key, err := e.theirs.at(4096+8, 8); addr != 0x11008 || key != 4 || err != nil {
		t.Errorf("at %#x by %d, %v", addr, key, err)
	}
	for _, other := range []Region{region(4096, 5), region(4096, 5, 6, 7), region(8192, 5, 6), {}} {
		if err := e.Renew(other); err == nil || !strings.Contains(err.Error(), "2 regions of 4096 bytes cannot have become") {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if _, key, _ := e.theirs.at(0, 1); key != 3 {
		t.Errorf("what was refused is used: the key %d", key)
	}
}
