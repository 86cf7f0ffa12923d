package folio

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Four pages of a region, two of them in a folio that goes on beyond it.
func fourPages() *Pinned {
	return &Pinned{
		pages: 4, frames: []uint64{100, 200, 512, 513}, first: true, last: true,
		folios: []memory.Folio{{Head: 100, Pages: 1}, {Head: 200, Pages: 1}, {Head: 512, Pages: 8}, {Head: 512, Pages: 8}},
	}
}

func TestSizes(t *testing.T) {
	page := os.Getpagesize()
	want := []record.FolioSize{{Bytes: page, Folios: 2, Pages: 2}, {Bytes: 8 * page, Folios: 1, Pages: 2}}
	p := fourPages()
	if got := p.Sizes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if p.LargePages() != 2 || p.Before() != 0 || p.After() != 6 {
		t.Errorf("%d large pages, %d before, %d after the region", p.LargePages(), p.Before(), p.After())
	}
}

// Folios that were asked for are there, all of them, or the check says what is not.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		kind   string
		spoil  func(*Pinned)
		wanted string
	}{
		{"natural", func(*Pinned) {}, ""},
		{"natural", func(p *Pinned) { p.frames, p.folios = nil, nil }, ""},
		{"single", func(*Pinned) {}, "2 of 4 pinned pages are in folios of another size"},
		{"large", func(*Pinned) {}, "2 of 4 pinned pages are in folios of another size"},
		{"large", func(p *Pinned) { p.frames, p.folios = nil, nil }, "4 of 4 pinned pages are not mapped"},
		{"single", func(p *Pinned) { p.frames, p.folios = p.frames[:2], p.folios[:2] }, "2 of 4 pinned pages are not mapped"},
	} {
		kind, ok := scenario.Find(Kinds(), c.kind)
		if !ok {
			t.Fatalf("no folios %s", c.kind)
		}
		p := fourPages()
		c.spoil(p)
		err := kind.Check(p)
		if c.wanted == "" && err != nil || c.wanted != "" && (!fault.IsIneffective(err) || !strings.Contains(err.Error(), c.wanted)) {
			t.Errorf("%s: %v, want %q", c.kind, err, c.wanted)
		}
	}
}
