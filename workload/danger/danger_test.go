package danger

import (
	"errors"
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// A file system that ext4's code does not write has no BUG_ON to fear, and what is not
// known is reckoned with.
func TestDangers(t *testing.T) {
	names := func(filesystem, strip, folios string) string {
		var names []string
		for _, d := range Find(scenario.Scenario{Filesystem: filesystem, Strip: strip, Folios: folios}, 0, 1) {
			names = append(names, d.Name)
			if d.Present && d.Unknown != nil {
				t.Errorf("%s is there and not known", d.Name)
			}
		}
		return strings.Join(names, " ")
	}
	if got := names("ext4", "pageout", "large"); got != "panic_on_warn panic_on_oops BUG_ON dirty pages" {
		t.Errorf("ext4: %s", got)
	}
	if got := names("xfs", "pageout", "large"); got != "panic_on_warn panic_on_oops" {
		t.Errorf("xfs: %s", got)
	}
	for _, c := range []struct{ strip, folios, want string }{
		{"pageout", "large", "panic_on_warn panic_on_oops btrfs-fixup"}, {"cold", "natural", "panic_on_warn panic_on_oops btrfs-fixup"},
		{"pageout", "single", "panic_on_warn panic_on_oops"}, {"memcg", "large", "panic_on_warn panic_on_oops"},
	} {
		if got := names("btrfs", c.strip, c.folios); got != c.want {
			t.Errorf("btrfs, %s, %s: %s", c.strip, c.folios, got)
		}
	}
	unknown := Danger{Unknown: errors.New("denied"), question: "whether"}
	if got := unknown.String(); !unknown.Real() || got != "whether could not be read (denied)" {
		t.Errorf("not known: %s", got)
	}
	if absent := (Danger{}); absent.Real() {
		t.Error("what is not there is real")
	}
}

// What the run may lose counts with what is dirty already.
func TestDirtyLimit(t *testing.T) {
	if d := dirtyLimit(0, 0); d.Real() {
		t.Errorf("this machine's writers go on: %s", d)
	}
	if d := dirtyLimit(1<<49, 1<<49); !d.Present || !strings.Contains(d.String(), "writers of the machine crawl or stand still") {
		t.Errorf("%+v", d)
	}
}
