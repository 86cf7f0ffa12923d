package scenario

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// few is a catalogue of one choice a part, beside those that make no sense.
var few = Catalogue{
	Holders:     []Holder{{Choice: Choice{Name: "rdma", What: "a memory region"}, Does: "RDMA WRITE"}},
	Filesystems: []Filesystem{{Choice: Choice{Name: "ext4", What: "disk"}, DropsBufferless: true, Heals: true, Deadly: []string{"ext4_writepage"}}, {Choice: Choice{Name: "tmpfs", What: "memory"}, Backing: InMemory}},
	Strips:      []Strip{{Choice: Choice{Name: "none", What: "nothing"}}, {Choice: Choice{Name: "pageout", What: "reclaim"}}},
	Mutations:   []Mutation{{Choice: Choice{Name: "none", What: "nothing"}}, {Choice: Choice{Name: "truncate", What: "all goes"}, Detaches: true}},
	Folios:      []Folios{{Choice: Choice{Name: Natural, What: "as they come"}}, {Choice: Choice{Name: "large", What: "many pages"}}},
}

func TestFacts(t *testing.T) {
	s := Scenario{"rdma", "ext4", "none", "truncate", Natural}
	got, known := few.Facts(s)
	want := Facts{Arrival: "RDMA WRITE", DropsBufferless: true, Heals: true, Detaches: true, Deadly: append(slices.Clone(releasing), "ext4_writepage")}
	if !reflect.DeepEqual(got, want) || !known {
		t.Errorf("%+v, %v", got, known)
	}
	s.Filesystem = "zfs"
	if _, known := few.Facts(s); known {
		t.Error("what is not in the catalogue is known")
	}
}

// FuzzParse reads a scenario back as what was written, or refuses it as the caller's mistake.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"rdma/ext4/pageout/none", "rdma/tmpfs/pageout/none", "rdma/ext4/none/truncate", "", "////", "rdma/ext4/none/none/", "rdma/ext4/none/none/large", "rdma/ext4/none/none/natural", "rdma/ext4/\x1b[31m/none"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := few.Parse(text)
		var usage interface{ Usage() bool }
		switch {
		case err == nil && s.String() != strings.TrimSuffix(text, "/"+Natural):
			t.Errorf("%q was read as %q", text, s)
		case err != nil && !errors.As(err, &usage):
			t.Errorf("%q: %v", text, err)
		case err == nil && strings.Count(text, "/") != 3 && strings.Count(text, "/") != 4:
			t.Errorf("%q is no scenario", text)
		}
	})
}
