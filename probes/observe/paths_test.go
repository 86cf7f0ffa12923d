package observe

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"umemstress/probes/event"
)

// procOf is a /proc with processes of which each has these maps, and a mountinfo.
func procOf(t *testing.T, maps map[string]string, mountinfo string) string {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("self/mountinfo", mountinfo)
	for pid, text := range maps {
		write(pid+"/maps", text)
	}
	return root
}

const (
	twoFiles = `7f0000000000-7f0000200000 rw-s 00000000 07:03 12                         /data/pool file
7f0000200000-7f0000400000 rw-s 00000000 07:03 13                         /data/other
7f0000400000-7f0000500000 rw-p 00000000 00:00 0
`
	mounts = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 7:3 /deep /mnt/deep rw - ext4 /dev/loop3 rw
31 22 7:3 / /data rw - ext4 /dev/loop3 rw
`
)

func pinned(pid uint32, address, inode uint64) event.Event {
	return event.Event{
		Kind: event.Pinned, Holder: event.HolderUmem, Owner: event.Owner{PID: pid}, Inode: event.Inode{Device: 7<<20 | 3, Number: inode},
		Index: 0, Pages: 512, Region: &event.Region{Address: address, Length: 2 << 20, PinnedNS: 1, Device: "rxe0"}, Names: []string{"f", "deep"},
	}
}

// A file's path is as its owner has it, also after that is gone, or else put together from the
// names that the kernel's side recorded.
func TestPaths(t *testing.T) {
	proc := procOf(t, map[string]string{"40": twoFiles}, mounts)
	for name, c := range map[string]struct {
		pin  event.Event
		want string
	}{
		"in its maps":                   {pinned(40, 0x7f0000001000, 12), "/data/pool file"},
		"the second":                    {pinned(40, 0x7f0000200000, 13), "/data/other"},
		"no file there, so its names":   {pinned(40, 0x7f0000400000, 14), "/mnt/deep/f"},
		"the process is gone":           {pinned(41, 0x7f0000001000, 12), "/mnt/deep/f"},
		"names in another directory":    {func() event.Event { e := pinned(41, 0, 15); e.Names = []string{"f", "deeper"}; return e }(), "/data/deeper/f"},
		"of a device that no mount has": {func() event.Event { e := pinned(41, 0, 15); e.Inode.Device = 9; return e }(), "/deep/f (not mounted here)"},
		"no names":                      {func() event.Event { e := pinned(41, 0, 15); e.Names = nil; return e }(), ""},
		"no file":                       {func() event.Event { e := pinned(40, 0x7f0000001000, 0); e.Inode = event.Inode{}; return e }(), ""},
	} {
		r := newRegistry(proc)
		r.learn(c.pin)
		if got := r.path(c.pin); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if err := os.Rename(filepath.Join(proc, "40"), filepath.Join(proc, "gone")); err != nil {
			t.Fatal(err)
		}
		dirtied := event.Event{Kind: event.Dirtied, Inode: c.pin.Inode, Owner: c.pin.Owner}
		if got := r.path(dirtied); got != c.want {
			t.Errorf("%s: %q once the process is gone, want %q", name, got, c.want)
		}
		if err := os.Rename(filepath.Join(proc, "gone"), filepath.Join(proc, "40")); err != nil {
			t.Fatal(err)
		}
	}
}

// Who was not seen to pin has the file in its maps.
func TestPathsOfTheUnseen(t *testing.T) {
	r := newRegistry(procOf(t, map[string]string{"40": twoFiles}, mounts))
	read := event.Event{Kind: event.Dirtied, Inode: event.Inode{Device: 7<<20 | 3, Number: 13}, Owner: event.Owner{PID: 40}}
	if got := r.path(read); got != "/data/other" {
		t.Errorf("%q", got)
	}
	read.Inode.Device = 8 << 20 // a file of the same number elsewhere
	if got := r.path(read); got != "" {
		t.Errorf("%q of another device", got)
	}
	refused := event.Event{Kind: event.Refused, Owner: event.Owner{PID: 40}, Region: &event.Region{Address: 0x7f00001ff000}}
	if got := r.at(refused); got != "/data/pool file" {
		t.Errorf("refused %q", got)
	}
	refused.Region.Address = 0x7f0000400000
	if got := r.at(refused); got != "" {
		t.Errorf("refused %q, where memory is anonymous", got)
	}
	gone := pinned(41, 0x7f0000001000, 12)
	gone.Kind = event.Refused
	if got := r.at(gone); got != "/mnt/deep/f" {
		t.Errorf("refused %q, of a process that is gone", got)
	}
}

// An observer in a container has other mounts than a file's owner, whose mounts they are that count.
func TestPathsFromAContainer(t *testing.T) {
	proc := procOf(t, map[string]string{"40": twoFiles, "41": twoFiles}, "22 1 0:50 / / rw - overlay overlay rw\n")
	if err := os.WriteFile(filepath.Join(proc, "40/mountinfo"), []byte(mounts), 0o600); err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[uint32]string{40: "/mnt/deep/f", 41: "/deep/f (not mounted here)"} {
		r := newRegistry(proc)
		pin := pinned(pid, 0x7f0000400000, 14)
		r.learn(pin)
		if got := r.path(pin); got != want {
			t.Errorf("of process %d: %q, want %q", pid, got, want)
		}
	}
	r := newRegistry(proc)
	region := listed(40, 0x7f0000000000, 4096)
	if !r.locate(&region) || region.Filesystem != "ext4" {
		t.Errorf("%+v", region)
	}
}

// Detached pages name no file, but whoever pinned them did, if it can be one only.
func TestPathsOfDetached(t *testing.T) {
	r := newRegistry(procOf(t, map[string]string{"40": twoFiles}, mounts))
	first, second := pinned(40, 0x7f0000000000, 12), pinned(40, 0x7f0000200000, 13)
	detached := event.Event{Kind: event.Dirtied, Detached: true, Index: 511, Owner: event.Owner{PID: 40}}
	r.learn(first)
	if got := r.path(detached); got != "/data/pool file" {
		t.Errorf("%q", got)
	}
	for name, change := range map[string]func(*event.Event){
		"beyond the region": func(e *event.Event) { e.Index = 512 },
		"another owner":     func(e *event.Event) { e.Owner.PID = 41 },
	} {
		e := detached
		change(&e)
		if got := r.path(e); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	r.learn(second)
	if got := r.path(detached); got != "" {
		t.Errorf("%q, though it can be either", got)
	}
	r.forget(first)
	if got := r.path(detached); got != "/data/other" {
		t.Errorf("%q, of the region that is left", got)
	}
}

// A day's work does not make it grow.
func TestRegistryIsBounded(t *testing.T) {
	r := newRegistry(procOf(t, nil, mounts))
	for i := range uint64(maxRegions + 100) {
		r.learn(pinned(41, i<<21, i))
	}
	if len(r.paths) != maxPaths || len(r.covered) != maxRegions || r.dropped != 100 {
		t.Errorf("%d paths, %d regions", len(r.paths), len(r.covered))
	}
}

// One piece of memory may be several regions, of which each ends for itself; which of them did, where their
// releases do not tell, is not guessed.
func TestRegionsOfOnePiece(t *testing.T) {
	r := newRegistry(procOf(t, nil, mounts))
	of := func(length uint64, number uint32) event.Event {
		e := pinned(40, 0x7f0000001000, 12)
		e.Region.Length, e.Region.MRN = length, &number
		return e
	}
	release := func(length uint64) event.Event {
		e := of(length, 0)
		e.Kind, e.Region.Device, e.Region.MRN = event.Released, "", nil
		return e
	}
	for _, e := range []event.Event{of(4096, 1), of(8192, 2), of(8192, 3)} {
		if slices.ContainsFunc(r.covered, func(c region) bool { return c.is(e) }) {
			t.Errorf("%+v is taken for another", e)
		}
		r.learn(e)
	}
	if got := r.number(release(4096)); got == nil || *got != 1 {
		t.Errorf("the number of the first is %v", got)
	}
	if got := r.number(release(8192)); got != nil {
		t.Errorf("%d, though it can be either", *got)
	}
	r.forget(of(8192, 2))
	if got := r.number(release(8192)); got == nil || *got != 3 {
		t.Errorf("the number of the last is %v", got)
	}
	r.forget(release(8192))
	if len(r.covered) != 1 || *r.covered[0].mrn != 1 {
		t.Errorf("left: %+v", r.covered)
	}
}

// A buffer that is pinned in one place each time that it is queued, and whose end nobody tells, is
// remembered once; what becomes of its pages is told under its holder.
func TestRegistryOfBuffers(t *testing.T) {
	r := newRegistry(procOf(t, nil, mounts))
	buffer := pinned(41, 0x7f0000001000, 12)
	buffer.Holder, buffer.Region.Device = event.HolderV4L2, ""
	for range 2 * maxRegions {
		r.learn(buffer)
	}
	if len(r.covered) != 1 || r.dropped != 0 {
		t.Errorf("%d regions, %d dropped", len(r.covered), r.dropped)
	}
	stripped := event.Event{Kind: event.Stripped, Inode: buffer.Inode, Index: 7}
	if r.name(&stripped); stripped.Holder != event.HolderV4L2 || stripped.Owner.PID != 41 {
		t.Errorf("%+v", stripped)
	}
}
