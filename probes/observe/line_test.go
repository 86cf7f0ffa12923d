package observe

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"umemstress/probes/event"
)

// sample is an event of each kind, as the probes give it.
func sample(kind event.Kind) event.Event {
	e := event.Event{
		Kind: kind, Inode: event.Inode{Device: 7<<20 | 3, Number: 12}, Index: 100, Pages: 32, Folios: 32, Filesystem: "ext4",
		Holder: event.HolderUmem, PID: 7, TID: 8, Comm: "kswapd0", Owner: event.Owner{PID: 40, Comm: "ib_write_bw", Cgroup: 1},
	}
	switch kind {
	case event.Dirtied:
		e.Bufferless, e.Unannounced = true, true
	case event.Pinned, event.Refused, event.Released:
		e.Region = &event.Region{Address: 0x7f0000000000, Length: 128 << 10, PinnedNS: 1, Device: "rxe0"}
	}
	switch kind {
	case event.Refused:
		e.Errno, e.Inode, e.Filesystem, e.Pages, e.Folios = 14, event.Inode{}, "", 0, 0
	case event.Released:
		e.End = &event.End{BufferlessPages: 32, UnannouncedPages: 32, Exiting: true, Signal: 9, Unseen: true}
	}
	return e
}

func TestText(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 30, 0, 0, time.Local)
	for kind, want := range map[event.Kind]string{
		event.Pinned:   "pinned   ib_write_bw[40], /data/f (ext4): 32 pages pinned, rdma rxe0, by kswapd0[7]",
		event.Refused:  "refused  ib_write_bw[40], /data/f: 131072 bytes at 0x7f0000000000 not pinned: EFAULT, rdma rxe0, by kswapd0[7]",
		event.Stripped: "stripped ib_write_bw[40], /data/f (ext4): pages 100 to 131 stripped of buffers while pinned, rdma, by kswapd0[7]",
		event.Dirtied:  "dirtied  ib_write_bw[40], /data/f (ext4): pages 100 to 131 dirtied without buffers: writeback will drop them, or the kernel die of it, rdma, by kswapd0[7]",
		event.Dropped:  "dropped  ib_write_bw[40], /data/f (ext4): pages 100 to 131 dropped by writeback: what was written is not on disk, rdma, by kswapd0[7]",
		event.Released: "released ib_write_bw[40], /data/f (ext4): released, 32 pages dirtied, 32 without buffers, 32 unannounced, killed by SIGKILL, pinned before observe began, rdma rxe0, by kswapd0[7]",
	} {
		l := line(sample(kind), at)
		l.Path = "/data/f"
		if got := l.Text(); got != "09:30:00.000 "+want+"\n" {
			t.Errorf("%s\n got %q\nwant %q", kind, got, want)
		}
	}
	numbered := sample(event.Pinned)
	number := uint32(0)
	numbered.Region.MRN = &number
	if l := line(numbered, at); !strings.Contains(l.Text(), ": 32 pages pinned, rdma rxe0, mrn 0, by") {
		t.Errorf("%+v: %s", l, l.Text())
	}
	buffer := sample(event.Pinned)
	buffer.Holder, buffer.Region.Device = event.HolderV4L2, ""
	if l := line(buffer, at); !strings.HasSuffix(l.Text(), ": 32 pages pinned, v4l2, by kswapd0[7]\n") {
		t.Errorf("%+v: %s", l, l.Text())
	}
	before := sample(event.Pinned)
	before.Region.PinnedNS = 0
	if l := line(before, at); !l.SinceBefore || !strings.Contains(l.Text(), ": 32 pages pinned, before observe began, rdma rxe0") {
		t.Errorf("%+v: %s", l, l.Text())
	}
}

// What a program calls itself, and its files, does not reach a terminal as it is.
func TestTextIsPrintable(t *testing.T) {
	l := line(sample(event.Dirtied), time.Now())
	l.Owner.Comm, l.Path, l.Filesystem, l.Actor.Comm = "\x1b[31mred", "/data/a\nsummary   0 s", "e\x9bxt", "k\rworker"
	text := l.Text()
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "\x9b") {
		t.Errorf("%q", text)
	}
	for _, want := range []string{`\x1b[31mred`, `/data/a\nsummary`, `k\rworker`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// The form of the JSON is a promise: docs/observe.md has its fields.
func TestJSON(t *testing.T) {
	l := line(sample(event.Dirtied), time.Date(2026, 11, 28, 9, 30, 0, 5000, time.UTC))
	l.Schema = Schema
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"umemstress.event/v1","time":"2026-11-28T09:30:00.000005Z","event":"dirtied","holder":"rdma",` +
		`"owner":{"pid":40,"comm":"ib_write_bw"},"actor":{"pid":7,"tid":8,"comm":"kswapd0"},` +
		`"device":"7:3","inode":12,"filesystem":"ext4","first_page":100,"pages":32,"folios":32,"bufferless":true,"unannounced":true}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilter(t *testing.T) {
	l := line(sample(event.Dirtied), time.Now())
	l.Path, l.RDMADevice = "/data/pool/f", "rxe0"
	read := l
	read.Holder, read.RDMADevice = "dio", ""
	pair := read
	pair.Holder = "vmci"
	detached := Line{Event: "dirtied", Holder: "rdma", Detached: true, Actor: &Process{PID: 40, Comm: "ib_write_bw"}}
	for name, c := range map[string]struct {
		filter Filter
		line   Line
		want   bool
	}{
		"no filter":                   {Filter{}, l, true},
		"comm":                        {Filter{Comm: "ib_write_bw"}, l, true},
		"pattern of a comm":           {Filter{Comm: "ib_*_bw"}, l, true},
		"the actor's comm":            {Filter{Comm: "kswapd0"}, l, false},
		"comm of a part":              {Filter{Comm: "ib_write"}, l, false},
		"the actor's, of no owner":    {Filter{Comm: "ib_write_bw"}, detached, true},
		"another, of no owner":        {Filter{Comm: "fio"}, detached, false},
		"file system":                 {Filter{Filesystem: "ext4"}, l, true},
		"another":                     {Filter{Filesystem: "xfs"}, l, false},
		"none known":                  {Filter{Filesystem: "xfs"}, detached, true},
		"path":                        {Filter{Path: "/data/pool/f"}, l, true},
		"directory":                   {Filter{Path: "/data"}, l, true},
		"with a slash":                {Filter{Path: "/data/"}, l, true},
		"pattern":                     {Filter{Path: "/data/*/f"}, l, true},
		"a name that begins the same": {Filter{Path: "/data/po"}, l, false},
		"no path known":               {Filter{Path: "/data"}, detached, true},
		"device":                      {Filter{RDMADevice: "rxe0"}, l, true},
		"another device":              {Filter{RDMADevice: "mlx5_0"}, l, false},
		"device of a read":            {Filter{RDMADevice: "rxe0"}, read, false},
		"device of a queue pair":      {Filter{RDMADevice: "rxe0"}, pair, false},
		"one of two is wrong":         {Filter{Comm: "ib_*", Filesystem: "xfs"}, l, false},
	} {
		if got := c.filter.wants(&c.line); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (Filter{Comm: "["}).Check() == nil || (Filter{Path: "/a["}).Check() == nil || (Filter{Comm: "a", Path: "/b"}).Check() != nil {
		t.Error("patterns are not checked")
	}
}

func TestSummary(t *testing.T) {
	s := sums{}
	if got := (&Summary{Sums: s.list()}).Hit(); got != NoHit {
		t.Errorf("nothing is a hit: %v", got)
	}
	for _, c := range []struct {
		count event.Count
		want  Hit
	}{
		{event.Count{Holder: event.HolderUmem, Filesystem: "tmpfs", DirtiedPages: 9, UnannouncedPages: 9}, NoHit},
		{event.Count{Holder: event.HolderUmem, Filesystem: "ext4", StrippedPages: 9}, NoHit},
		{event.Count{Holder: event.HolderDIO, Filesystem: "xfs", DirtiedPages: 4, UnannouncedPages: 4}, HitUnannounced},
		{event.Count{Holder: event.HolderUmem, Filesystem: "ext4", PID: 3, DirtiedPages: 2, BufferlessPages: 2, UnannouncedPages: 2}, HitBufferless},
		{event.Count{Holder: event.HolderUmem, Filesystem: "ext4", PID: 4, DirtiedPages: 1, BufferlessPages: 1, UnannouncedPages: 1}, HitBufferless},
		{event.Count{Filesystem: "ext4", DroppedFolios: 3}, HitDropped},
	} {
		s.add([]event.Count{c.count})
		if got := (&Summary{Sums: s.list()}).Hit(); got != c.want {
			t.Errorf("after %+v: hit %d, want %d", c.count, got, c.want)
		}
	}
	summary := Summary{Seconds: 61.2, Sums: s.list(), Pinned: 2, Refused: 1, Released: 2, Lost: Losses{Lost: event.Lost{Events: 5}}}
	if len(summary.Sums) != 3 {
		t.Errorf("%d sums of three: %+v", len(summary.Sums), summary.Sums)
	}
	want := `summary   61 s: 2 regions pinned, 1 refused, 2 released
          9 pages stripped, 7 pages dirtied without the file system being told, 3 of them without buffers, 0 detached; 3 folios dropped
          unknown holder on ext4: stripped 0, unannounced 0, buffer-less 0, detached 0, dropped 3
          dio on xfs: stripped 0, unannounced 4, buffer-less 0, detached 0, dropped 0
          rdma on ext4: stripped 9, unannounced 3, buffer-less 3, detached 0, dropped 0
lost      5 events not delivered
`
	if got := summary.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	detached := Summary{Sums: []Sum{{Holder: "rdma", Detached: 1}}}
	if detached.Hit() != HitUnannounced {
		t.Error("detached pages are no hit")
	}
}
