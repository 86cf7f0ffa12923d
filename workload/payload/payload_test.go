package payload

import (
	"bytes"
	"testing"
)

func TestPayloadTellsPagesAndGenerationsApart(t *testing.T) {
	p := Payload{seed: 1, PageSize: 4096, period: 1000}
	seen := map[string]bool{}
	for _, generation := range []uint64{1, 2} {
		for page := range uint64(64) {
			b := make([]byte, p.PageSize)
			p.fill(b, generation, page)
			if seen[string(b)] {
				t.Fatalf("page %d of generation %d repeats another page", page, generation)
			}
			seen[string(b)] = true
		}
	}
	again := make([]byte, p.PageSize)
	p.fill(again, 2, 63)
	if !seen[string(again)] {
		t.Error("the same page of the same generation differs the second time")
	}
	other := make([]byte, p.PageSize)
	Payload{seed: 2, PageSize: 4096, period: 1000}.fill(other, 2, 63)
	if bytes.Equal(again, other) {
		t.Error("the seed makes no difference")
	}
}

// The comparison finds every page that is not what was written last, and tells
// the pages that hold what was written before from foreign ones.
func TestCompare(t *testing.T) {
	const pages = 600 // more than one read, and the source repeats
	p := Payload{seed: 7, PageSize: 4096, period: 250}
	image := make([]byte, pages*p.PageSize)
	p.FillFrom(image, 2, 0)
	if !bytes.Equal(image[:4096], image[250*4096:251*4096]) {
		t.Error("the bytes do not repeat after the period")
	}
	compare := func(image []byte) (Comparison, error) {
		return p.Compare(t.Context(), bytes.NewReader(image), pages*4096, 2, nil)
	}
	intact, err := compare(image)
	if err != nil {
		t.Fatal(err)
	}
	if intact.Checked != pages || intact.Different != 0 {
		t.Fatalf("an intact image: %+v", intact)
	}

	p.fill(image[300*4096:301*4096], 1, 300) // what was written before
	image[599*4096+4095] ^= 1                // one bit of the last byte
	got, err := compare(image)
	if err != nil {
		t.Fatal(err)
	}
	if got.Different != 2 || got.Old != 1 || got.First == nil || *got.First != 300 {
		t.Errorf("two stale pages, one of them old: %+v", got)
	}
	leftOut := func(page uint64) bool { return page == 300 }
	got, err = p.Compare(t.Context(), bytes.NewReader(image), pages*4096, 2, leftOut)
	if err != nil || got.Checked != pages-1 || got.Different != 1 || got.Old != 0 || *got.First != 599 {
		t.Errorf("without page 300: %+v, %v", got, err)
	}
	if _, err := compare(image[:4096]); err == nil {
		t.Error("a file that ends early compared without an error")
	}
}

func TestPayloadFixed(t *testing.T) {
	p := Payload{seed: 1, PageSize: 8, period: 2, Content: []byte("AAAAAAAABBBBBBBB")}
	got := make([]byte, 24)
	p.FillAll(got, 2)
	if string(got) != "AAAAAAAABBBBBBBBAAAAAAAA" {
		t.Errorf("generation 2: %q", got)
	}
	p.FillAll(got, 1)
	if bytes.Contains(got, []byte("AA")) {
		t.Errorf("generation 1 is fixed, too: %q", got)
	}
}

// A hole has nothing of what was written, in whatever generation, and a page that is not zero is none.
func TestCompareBlank(t *testing.T) {
	image := make([]byte, 3*4096)
	image[2*4096+7] = 1
	got, err := Blank(4096).Compare(t.Context(), bytes.NewReader(image), int64(len(image)), 2, nil)
	if err != nil || got.Checked != 3 || got.Different != 1 || got.Old != 0 || got.First == nil || *got.First != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A page whose packets all came to its beginning is told from one that has anything else there.
func TestDisplaced(t *testing.T) {
	p := Payload{seed: 7, PageSize: 4096, period: 250}
	want, before := make([]byte, 4096), make([]byte, 4096)
	p.fill(want, 2, 3)
	p.fill(before, 1, 3)
	got := func(pieces ...[]byte) []byte {
		return append(bytes.Clone(bytes.Join(pieces, nil)), make([]byte, 4096)...)[:4096]
	}
	for what, of := range map[string]struct {
		got  []byte
		want bool
	}{
		"the last quarter":            {got(want[3072:], before[1024:]), true},
		"what begins at an odd place": {got(want[1001:]), true},
		"as it was sent":              {want, false},
		"wrong further on alone":      {got(want[:1024], want[:1024]), false},
		"what was there before":       {before, false},
		"nothing":                     {got(), false},
	} {
		if is := displaced(of.got, want); is != of.want {
			t.Errorf("%s: %v", what, is)
		}
	}
	zeroes := got(want[:1024]) // of somebody's own bytes, that may be in many places
	if displaced(got(), zeroes) {
		t.Error("zeroes are taken for others that lie further on")
	}
}
