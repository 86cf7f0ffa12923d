package workload

import (
	"bytes"
	"testing"
)

func TestPayloadTellsPagesAndGenerationsApart(t *testing.T) {
	p := payload{seed: 1, pageSize: 4096, period: 1000}
	seen := map[string]bool{}
	for _, generation := range []uint64{1, 2} {
		for page := range uint64(64) {
			b := make([]byte, p.pageSize)
			p.fill(b, generation, page)
			if seen[string(b)] {
				t.Fatalf("page %d of generation %d repeats another page", page, generation)
			}
			seen[string(b)] = true
		}
	}
	again := make([]byte, p.pageSize)
	p.fill(again, 2, 63)
	if !seen[string(again)] {
		t.Error("the same page of the same generation differs the second time")
	}
	other := make([]byte, p.pageSize)
	payload{seed: 2, pageSize: 4096, period: 1000}.fill(other, 2, 63)
	if bytes.Equal(again, other) {
		t.Error("the seed makes no difference")
	}
}

// The comparison finds every page that is not what was written last, and tells
// the pages that hold what was written before from foreign ones.
func TestCompare(t *testing.T) {
	const pages = 600 // more than one read, and the source repeats
	p := payload{seed: 7, pageSize: 4096, period: 250}
	image := make([]byte, pages*p.pageSize)
	p.fillFrom(image, 2, 0)
	if !bytes.Equal(image[:4096], image[250*4096:251*4096]) {
		t.Error("the bytes do not repeat after the period")
	}
	compare := func(image []byte) (comparison, error) {
		return p.compare(t.Context(), bytes.NewReader(image), pages*4096, 2)
	}
	intact, err := compare(image)
	if err != nil {
		t.Fatal(err)
	}
	if intact.checked != pages || intact.different != 0 {
		t.Fatalf("an intact image: %+v", intact)
	}

	p.fill(image[300*4096:301*4096], 1, 300) // what was written before
	image[599*4096+4095] ^= 1                // one bit of the last byte
	got, err := compare(image)
	if err != nil {
		t.Fatal(err)
	}
	if got.different != 2 || got.old != 1 || got.first == nil || *got.first != 300 {
		t.Errorf("two stale pages, one of them old: %+v", got)
	}
	if _, err := compare(image[:4096]); err == nil {
		t.Error("a file that ends early compared without an error")
	}
}

func TestPayloadFixed(t *testing.T) {
	p := payload{seed: 1, pageSize: 8, period: 2, fixed: []byte("AAAAAAAABBBBBBBB")}
	got := make([]byte, 24)
	p.fillAll(got, 2)
	if string(got) != "AAAAAAAABBBBBBBBAAAAAAAA" {
		t.Errorf("generation 2: %q", got)
	}
	p.fillAll(got, 1)
	if bytes.Contains(got, []byte("AA")) {
		t.Errorf("generation 1 is fixed, too: %q", got)
	}
}
