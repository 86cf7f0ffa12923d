package workload

import (
	"strings"
	"testing"

	"umemstress/workload/filesystem"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/scenario"
)

// Every combination of the tables is either sensible or refused with a reason,
// and never both.
func TestScenarios(t *testing.T) {
	sensible := 0
	for _, e := range Scenarios().All() {
		if (e.Shows == "") == (e.Nonsense == "") {
			t.Errorf("%s: shows %q, nonsense %q", e.Scenario, e.Shows, e.Nonsense)
		}
		parsed, err := Scenarios().Parse(e.Scenario.String())
		if parsed != e.Scenario {
			t.Errorf("%s was read back as %s", e.Scenario, parsed)
		}
		if e.Nonsense == "" {
			sensible++
			if err != nil {
				t.Errorf("%s: %v", e.Scenario, err)
			}
			continue
		}
		worktest.WantUsage(t, err, e.Nonsense)
	}
	if want := len(holderKinds()) * len(filesystem.Kinds()); sensible < want {
		t.Errorf("%d scenarios make sense; at least the %d without strip and mutation do", sensible, want)
	}
}

func TestParseScenarioRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "write holder/filesystem/strip/mutation",
		"rdma/ext4/pageout":      "write holder/filesystem/strip/mutation",
		"rdma/ntfs/none/none":    "--fs ntfs: choose ext4 or",
		"rdma/ext4/none/reflink": "ext4 has no reflink copies",
		"rdma/xfs/pageout/punch": "punch detaches the pages",

		"rdma/ext4-bigalloc/memcg/none":       "take --fs ext4",
		"rdma/ext4-encrypted/none/truncate":   "take --fs ext4",
		"rdma/ext4-dm-crypt/none/reflink":     "ext4-dm-crypt has no reflink copies",
		"rdma/ext4-encrypted/none/none/large": "large folios of ext4-encrypted are not made here",
		"rdma/ocfs2/none/zero-range":          "no fallocate for zero-range",
	} {
		_, err := Scenarios().Parse(text)
		worktest.WantUsage(t, err, want)
	}
}

// Flags, help and expectations share one name space a part.
func TestChoicesAreDistinct(t *testing.T) {
	for _, part := range scenario.Parts() {
		seen := map[string]bool{}
		for _, c := range Scenarios().Choices(part) {
			if seen[c.Name] || c.Name == "" || c.What == "" || strings.ContainsAny(c.Name, "/ ") {
				t.Errorf("%s %q (%s)", part, c.Name, c.What)
			}
			seen[c.Name] = true
		}
		if len(seen) == 0 {
			t.Errorf("no choices for %s", part)
		}
	}
	for _, p := range Presets() {
		o, err := Preset(p.Name)
		if err == nil {
			err = o.validate()
		}
		if err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
	}
}
