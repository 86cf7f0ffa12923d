package observe

import (
	"fmt"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// listed is a region as the kernel lists it: without its file.
func listed(pid uint32, address, length uint64) event.Event {
	return event.Event{
		Kind: event.Pinned, Holder: event.HolderUmem, Owner: event.Owner{PID: pid, Comm: "pinner", Cgroup: 7},
		Region: &event.Region{Address: address, Length: length, Device: "rxe0"}, StackID: -1,
	}
}

const manyKinds = twoFiles + `7f0000500000-7f0000600000 rw-p 00000000 07:03 12                         /data/private
7f0000600000-7f0000700000 r--s 00000000 07:03 12                         /data/read-only
7f0000700000-7f0000800000 rw-s 00003000 07:03 14                         /data/part
7f0000a00000-7f0000b00000 rw-s 00000000 00:05 17                         /elsewhere
`

// withMemory is manyKinds and memory of memfd_create, which is mounted nowhere.
func withMemory(t *testing.T) string {
	t.Helper()
	fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	return manyKinds + fmt.Sprintf("7f0000800000-7f0000900000 rw-s 00000000 %02x:%02x 15                         /memfd:x (deleted)\n",
		unix.Major(stat.Dev), unix.Minor(stat.Dev))
}

// What is in a region that was pinned before is told by the maps of its owner.
func TestLocate(t *testing.T) {
	proc := procOf(t, map[string]string{"40": withMemory(t)}, mounts)
	r := newRegistry(proc)
	for name, c := range map[string]struct {
		region       event.Event
		inode        uint64 // 0: of no file
		index, pages uint64
		filesystem   string
	}{
		"a whole file":             {listed(40, 0x7f0000000000, 2<<20), 12, 0, 512, "ext4"},
		"in the middle of a page":  {listed(40, 0x7f0000201fff, 2), 13, 1, 2, "ext4"},
		"behind the mapping's end": {listed(40, 0x7f00003ff000, 2<<20), 13, 511, 1, "ext4"},
		"a file in the middle":     {listed(40, 0x7f0000400000, 8<<20), 14, 3, 256, "ext4"},
		"memory with a name":       {listed(40, 0x7f0000800000, 4096), 15, 0, 1, "tmpfs"},
		"mounted nowhere":          {listed(40, 0x7f0000a00000, 4096), 17, 0, 1, ""},
		"anonymous":                {listed(40, 0x7f0000400000, 4096), 0, 0, 0, ""},
		"a private mapping":        {listed(40, 0x7f0000500000, 4096), 0, 0, 0, ""},
		"nobody may write":         {listed(40, 0x7f0000600000, 4096), 0, 0, 0, ""},
		"its owner is gone":        {listed(41, 0x7f0000000000, 4096), 0, 0, 0, ""},
		"another address":          {listed(40, 0, 4096), 0, 0, 0, ""},
	} {
		e := c.region
		if found := r.locate(&e); found != (c.inode != 0) {
			t.Errorf("%s: %v", name, found)
		}
		if e.Inode.Number != c.inode || e.Index != c.index || e.Pages != c.pages || e.Filesystem != c.filesystem {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// A region that was pinned before is told, but for one of memory that is no file's, and what
// becomes of its pages is told in its owner's name.
func TestRunLate(t *testing.T) {
	stripped := event.Event{Kind: event.Stripped, Inode: event.Inode{Device: 7<<20 | 3, Number: 13}, Filesystem: "ext4", Index: 1, Pages: 1, Folios: 1, PID: 7, Comm: "kswapd0"}
	beyond := stripped
	beyond.Index = 9
	number := uint32(3)
	first := listed(40, 0x7f0000200000, 8192)
	first.Region.MRN = &number
	released := listed(40, 0x7f0000200000, 8192)
	released.Kind, released.Inode, released.Index, released.Region.Device, released.End = event.Released, stripped.Inode, 1, "", &event.End{Unseen: true}
	source := &recording{events: []event.Event{first, listed(40, 0x7f0000200000, 8192), stripped, beyond, released, listed(40, 0x7f0000400000, 8192), listed(40, 0x7f0000800000, 8192)}}
	proc := procOf(t, map[string]string{"40": withMemory(t)}, mounts)
	lines, summary, err := observed(t, Config{Source: source, Proc: proc})
	if got := eventsOf(lines); err != nil || !reflect.DeepEqual(got, []string{Started, "pinned", "stripped", "stripped", "released", Ended}) || summary.Events != 4 {
		t.Fatalf("told %q, %v", got, err)
	}
	if l := lines[2]; l.Owner == nil || l.Owner.Comm != "pinner" || l.Holder != "rdma" || l.RDMADevice != "rxe0" {
		t.Errorf("a page of the region: %+v", l)
	}
	if l := lines[3]; l.Owner != nil || l.Holder != "" {
		t.Errorf("a page beyond the region: %+v", l)
	}
	if l := lines[4]; !l.SinceBefore || l.RDMADevice != "rxe0" || l.MRN == nil || *l.MRN != number || l.Path != "/data/other" {
		t.Errorf("its release: %+v", l)
	}
	l := lines[1]
	if !l.SinceBefore || l.MRN == nil || *l.MRN != number || l.Path != "/data/other" || l.Device != "7:3" || l.Inode != 13 || l.Pages != 2 || l.Filesystem != "ext4" || l.Owner.Comm != "pinner" || l.Bytes != 8192 {
		t.Errorf("%+v", l)
	}
	want := []event.Event{{Inode: event.Inode{Device: 7<<20 | 3, Number: 13}, Holder: event.HolderUmem, Owner: event.Owner{PID: 40, Comm: "pinner", Cgroup: 7}}}
	if !reflect.DeepEqual(source.owners, want) {
		t.Errorf("owners %+v", source.owners)
	}
}
