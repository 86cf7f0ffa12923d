package workload

import (
	"bytes"
	"context"
	"testing"
)

func TestPayloadTellsPagesAndGenerationsApart(t *testing.T) {
	p := payload{seed: 1, pageSize: 4096}
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
	payload{seed: 2, pageSize: 4096}.fill(other, 2, 63)
	if bytes.Equal(again, other) {
		t.Error("the seed makes no difference")
	}
}

// The disk check finds every page that is not what was written last, and tells
// the pages that hold what was written before from foreign ones.
func TestDiskCheck(t *testing.T) {
	p := payload{seed: 7, pageSize: 4096}
	const pages, sourcePages = 600, 250 // more than one read, and the source repeats
	image := make([]byte, pages*p.pageSize)
	for page := range uint64(pages) {
		p.fill(image[page*4096:(page+1)*4096], 2, page%sourcePages)
	}
	check := diskCheck{payload: p, sourcePages: sourcePages, generation: 2}

	var intact DiskChannel
	if err := check.compare(context.Background(), bytes.NewReader(image), int64(len(image)), &intact); err != nil {
		t.Fatal(err)
	}
	if intact.CheckedPages != pages || intact.StalePages != 0 {
		t.Fatalf("an intact image: %+v", intact)
	}

	p.fill(image[300*4096:301*4096], 1, 300%sourcePages) // what was written before
	image[599*4096+4095] ^= 1                            // one bit of the last byte
	var got DiskChannel
	if err := check.compare(context.Background(), bytes.NewReader(image), int64(len(image)), &got); err != nil {
		t.Fatal(err)
	}
	if got.StalePages != 2 || got.OldPages != 1 || got.FirstStale == nil || *got.FirstStale != 300 {
		t.Errorf("two stale pages, one of them old: %+v", got)
	}

	var short DiskChannel
	if err := check.compare(context.Background(), bytes.NewReader(image[:4096]), int64(len(image)), &short); err == nil {
		t.Error("a file that ends early compared without an error")
	}
}
