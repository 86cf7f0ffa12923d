package danger

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"umemstress/workload/scenario"
)

// A file system that ext4's code does not write has no BUG_ON to fear, and what is not
// known is reckoned with.
func TestDangers(t *testing.T) {
	names := func(filesystem, strip, folios string) string {
		var names []string
		for _, d := range Find(Run{Scenario: scenario.Scenario{Filesystem: filesystem, Strip: strip, Folios: folios}, Pages: 1}) {
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

// That a kernel's memory cannot be read is put down to lockdown where it is that, and to nothing else.
func TestDenied(t *testing.T) {
	locked := fstest.MapFS{"kernel/security/lockdown": {Data: []byte("none integrity [confidentiality]\n")}}
	eperm := &fs.PathError{Op: "open", Path: "/proc/kcore", Err: unix.EPERM}
	if got := denied(eperm, locked); !strings.Contains(got.Error(), "locked down for confidentiality") || !strings.Contains(got.Error(), "lockdown=integrity") {
		t.Errorf("locked down: %v", got)
	}
	if got := denied(eperm, fstest.MapFS{}); !errors.Is(got, eperm) || errors.Is(got, errLockedDown) {
		t.Errorf("not permitted: %v", got)
	}
	if got := denied(io.ErrUnexpectedEOF, locked); !errors.Is(got, io.ErrUnexpectedEOF) {
		t.Errorf("of another reason: %v", got)
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
