package event

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sample is a record as the kernel side lays it out, field by field: of a run.
func sample() []byte {
	r := make([]byte, RecordSize)
	binary.LittleEndian.PutUint64(r[0:], 123456789)
	binary.LittleEndian.PutUint32(r[8:], 1)
	binary.LittleEndian.PutUint32(r[12:], 1)
	binary.LittleEndian.PutUint32(r[16:], 3)
	binary.LittleEndian.PutUint32(r[20:], 77)
	binary.LittleEndian.PutUint64(r[24:], 12)
	binary.LittleEndian.PutUint64(r[32:], 100)
	binary.LittleEndian.PutUint64(r[40:], 16384)
	binary.LittleEndian.PutUint64(r[48:], 32)
	binary.LittleEndian.PutUint32(r[56:], 7<<20|3)
	binary.LittleEndian.PutUint32(r[60:], 4000)
	binary.LittleEndian.PutUint32(r[64:], 4001)
	binary.LittleEndian.PutUint32(r[68:], 4002)
	binary.LittleEndian.PutUint64(r[72:], 77777)
	copy(r[80:], "kworker/0:1")
	copy(r[96:], "ib_write_bw")
	copy(r[112:], "ext4")
	return r
}

// sampleOf is a record of another kind.
func sampleOf(kind Kind) []byte {
	r := sample()
	for number, body := range bodies {
		if body.kind == kind {
			binary.LittleEndian.PutUint32(r[8:], number)
			r = append(r, make([]byte, body.size-len(r))...)
		}
	}
	binary.LittleEndian.PutUint32(r[16:], 0)
	switch kind {
	case Stripped, Dropped:
		binary.LittleEndian.PutUint64(r[48:], 1)
	case Pinned, Refused, Released, Numbered:
		binary.LittleEndian.PutUint64(r[128:], 0x7f0000000000)
		binary.LittleEndian.PutUint64(r[136:], 64<<20)
		binary.LittleEndian.PutUint64(r[144:], 1000)
		binary.LittleEndian.PutUint32(r[152:], 7)
		copy(r[160:], "rxe0")
	}
	switch kind {
	case Pinned:
		copy(r[200:], "region")
		copy(r[240:], "dir")
	case Refused:
		binary.LittleEndian.PutUint32(r[192:], math.MaxUint32-13) // -EFAULT
	case Numbered:
		binary.LittleEndian.PutUint32(r[16:], stateNumbered)
		binary.LittleEndian.PutUint32(r[156:], 4)
	case Released:
		binary.LittleEndian.PutUint32(r[16:], stateExiting)
		binary.LittleEndian.PutUint64(r[192:], 16384)
		binary.LittleEndian.PutUint64(r[200:], 16383)
		binary.LittleEndian.PutUint64(r[208:], 5)
		binary.LittleEndian.PutUint32(r[216:], 9)
	}
	return r
}

// kinds are all kinds.
func kinds() []Kind {
	return []Kind{Dirtied, Stripped, Dropped, Pinned, Refused, Released, Numbered}
}

func TestDecode(t *testing.T) {
	run := Event{
		Kind: Dirtied, TimeNS: 123456789, Inode: Inode{Device: 7<<20 | 3, Number: 12}, Index: 100, Pages: 16384, Folios: 32,
		Bufferless: true, Unannounced: true, Holder: "umem", PID: 4000, TID: 4001, Comm: "kworker/0:1", StackID: 77,
		Owner: Owner{PID: 4002, Comm: "ib_write_bw", Cgroup: 77777}, Filesystem: "ext4",
	}
	other := run
	other.Bufferless, other.Unannounced = false, false
	folio := other
	folio.Folios = 1
	region := other
	region.Region = &Region{Address: 0x7f0000000000, Length: 64 << 20, PinnedNS: 1000, Access: 7, Device: "rxe0"}
	for _, kind := range kinds() {
		want := run
		switch kind {
		case Stripped, Dropped:
			want = folio
		case Pinned:
			want = region
			want.Names = []string{"region", "dir"}
		case Numbered:
			number, numbered := uint32(4), *region.Region
			numbered.MRN = &number
			want = region
			want.Region = &numbered
		case Refused:
			want = region
			want.Errno = 14
		case Released:
			want = region
			want.End = &End{BufferlessPages: 16384, UnannouncedPages: 16383, DetachedPages: 5, Exiting: true, Signal: 9}
		}
		want.Kind = kind
		r := sample()
		if kind != Dirtied {
			r = sampleOf(kind)
		}
		got, err := Decode(r)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		clear(r) // the event is not to refer to the record's memory
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", kind, got, want)
		}
	}
}

func TestDecodeStates(t *testing.T) {
	for state, want := range map[uint32][2]bool{0: {false, false}, 1: {true, false}, 2: {false, true}, 3: {true, true}} {
		r := sample()
		binary.LittleEndian.PutUint32(r[16:], state)
		e, err := Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{e.Bufferless, e.Unannounced}; got != want {
			t.Errorf("state %d: bufferless, unannounced = %v, want %v", state, got, want)
		}
	}
}

// detached is a record of detached pages, changed a little.
func detached(change func([]byte)) []byte {
	r := sample()
	clear(r[24:32])
	clear(r[56:60])
	clear(r[112:128])
	binary.LittleEndian.PutUint32(r[16:], 4)
	change(r)
	return r
}

func TestDecodeDetached(t *testing.T) {
	e, err := Decode(detached(func([]byte) {}))
	if err != nil {
		t.Fatal(err)
	}
	if !e.Detached || e.Bufferless || e.Unannounced || e.Inode != (Inode{}) || e.Filesystem != "" || e.Index != 100 {
		t.Errorf("%+v", e)
	}
}

func TestDecodeHolders(t *testing.T) {
	for value, want := range map[uint32]string{1: HolderUmem, 2: HolderDIO, 3: HolderVMWritev, 4: HolderVMCI, 5: HolderNFS, 6: HolderFUSE, 7: HolderV4L2, 8: HolderXDP, 9: Holder9P} {
		r := sample()
		binary.LittleEndian.PutUint32(r[12:], value)
		if e, err := Decode(r); err != nil || e.Holder != want {
			t.Errorf("%d: %q, %v, want %q", value, e.Holder, err, want)
		}
	}
}

func TestDecodeCommAndStack(t *testing.T) {
	r := sample()
	copy(r[80:], "exactly16bytes!!")
	binary.LittleEndian.PutUint32(r[20:], math.MaxUint32-16) // -EEXIST
	e, err := Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	if e.Comm != "exactly16bytes!!" || e.StackID != -17 {
		t.Errorf("comm %q, stack %d", e.Comm, e.StackID)
	}
}

func TestDecodeRefuses(t *testing.T) {
	set := func(r []byte, at int, value uint64, size int) []byte {
		if size == 4 {
			binary.LittleEndian.PutUint32(r[at:], uint32(value))
		} else {
			binary.LittleEndian.PutUint64(r[at:], value)
		}
		return r
	}
	put := func(at int, value uint64, size int) []byte { return set(sample(), at, value, size) }
	of := func(kind Kind, at int, value uint64, size int) []byte { return set(sampleOf(kind), at, value, size) }
	endless := func(r []byte, at, end int) []byte {
		for ; at < end; at++ {
			r[at] = 'x'
		}
		return r
	}
	for name, c := range map[string]struct {
		record []byte
		want   string
	}{
		"nothing":               {nil, "record of 0 bytes, want 128 at least"},
		"cut off":               {sample()[:RecordSize-1], "record of 127 bytes, want 128 at least"},
		"too long":              {append(sample(), 0), "dirtied in a record of 129 bytes, want 128"},
		"a pin without region":  {sampleOf(Pinned)[:RecordSize], "pinned in a record of 128 bytes, want 520"},
		"a pin cut off":         {sampleOf(Pinned)[:RecordSize+1], "pinned in a record of 129 bytes"},
		"no kind":               {put(8, 0, 4), "unknown kind 0"},
		"unknown kind":          {put(8, 99, 4), "unknown kind 99"},
		"unknown state":         {put(16, 8, 4), "dirtied in the unknown state 0x8"},
		"detached, bufferless":  {detached(func(r []byte) { r[16] |= 1 }), "detached pages of file 0 on device 0 (\"\") in state 0x5"},
		"detached, unannounced": {detached(func(r []byte) { r[16] |= 2 }), "in state 0x6"},
		"detached, of a file":   {detached(func(r []byte) { r[24] = 12 }), "detached pages of file 12"},
		"detached, of a device": {detached(func(r []byte) { r[56] = 7 }), "on device 7"},
		"detached, of ext4":     {detached(func(r []byte) { r[112] = 'e' }), "(\"e\")"},
		"endless name":          {endless(sample(), 116, 128), "name \"ext4xxxxxxxxxxxx\" has no end"},
		"unknown holder":        {put(12, 10, 4), "unknown holder 10"},
		"no holder":             {put(12, 0, 4), "unknown holder 0"},
		"empty run":             {put(40, 0, 8), "impossible run of 0 pages at index 100"},
		"no folios":             {put(48, 0, 8), "impossible run of 16384 pages in 0 folios"},
		"more folios":           {put(48, 16385, 8), "impossible run of 16384 pages in 16385 folios"},
		"run wraps round":       {put(40, math.MaxUint64, 8), "impossible run of 18446744073709551615 pages"},
		"stripped of nothing":   {of(Stripped, 40, 0, 8), "stripped: 0 pages in 1 folios"},
		"dropped folios":        {of(Dropped, 48, 2, 8), "dropped: 16384 pages in 2 folios"},
		"stripped in a state":   {of(Stripped, 16, 1, 4), "stripped in the unknown state 0x1"},
		"pinned by nobody":      {of(Pinned, 12, 0, 4), "pinned: a region of the holder \"\""},
		"pinned by a read":      {of(Pinned, 12, 2, 4), "pinned: a region of the holder \"dio\""},
		"endless device":        {endless(sampleOf(Pinned), 160, 192), "the RDMA device's name"},
		"endless path":          {endless(sampleOf(Pinned), 200, 240), "has no end"},
		"pinned unseen":         {of(Pinned, 16, 16, 4), "pinned: pinned at 1000 in state 0x10"},
		"pinned when":           {of(Pinned, 144, 0, 8), "pinned: pinned at 0 in state 0x0"},
		"pinned with an error":  {of(Pinned, 192, math.MaxUint32-13, 4), "pinned: the answer -14"},
		"refused without one":   {of(Refused, 192, 0, 4), "refused: the answer 0"},
		"refused with success":  {of(Refused, 192, 5, 4), "refused: the answer 5"},
		"no such error":         {of(Refused, 192, math.MaxUint32-5000, 4), "refused: the answer -5001"},
		"the least of all":      {of(Refused, 192, 1<<31, 4), "refused: the answer -2147483648"},
		"more than dirtied":     {of(Released, 192, 16385, 8), "released: 16385 pages of 16384"},
		"a signal, alive":       {of(Released, 16, 0, 4), "released: signal 9, exiting: false"},
		"released by another":   {of(Released, 12, 4, 4), "released: a region of the holder \"vmci\""},
		"refused by VMCI":       {of(Refused, 12, 4, 4), "refused: a region of the holder \"vmci\""},
		"a buffer's device":     {of(Pinned, 12, 7, 4), "pinned: a region of the holder \"v4l2\" on the RDMA device \"rxe0\""},
		"a number of nothing":   {of(Numbered, 16, 0, 4), "numbered: no number"},
		"refused with a number": {of(Refused, 16, stateNumbered, 4), "refused in the unknown state 0x20"},
		"no such signal":        {of(Released, 216, 128, 4), "released: signal 128"},
	} {
		_, err := Decode(c.record)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// encode is the record that an event came from, as far as the event tells.
func encode(e Event) []byte {
	r := sampleOf(e.Kind)
	clear(r)
	for number, body := range bodies {
		if body.kind == e.Kind {
			binary.LittleEndian.PutUint32(r[8:], number)
		}
	}
	for number, name := range holders {
		if e.Holder == name {
			binary.LittleEndian.PutUint32(r[12:], number)
		}
	}
	unseen := e.End != nil && e.End.Unseen || e.Kind == Pinned && e.Region.PinnedNS == 0
	bits := []bool{e.Bufferless, e.Unannounced, e.Detached, e.End != nil && e.End.Exiting, unseen, e.Region != nil && e.Region.MRN != nil}
	for bit, is := range bits {
		if is {
			r[16] |= 1 << bit
		}
	}
	binary.LittleEndian.PutUint64(r[0:], e.TimeNS)
	binary.LittleEndian.PutUint32(r[20:], uint32(e.StackID))
	binary.LittleEndian.PutUint64(r[24:], e.Inode.Number)
	binary.LittleEndian.PutUint64(r[32:], e.Index)
	binary.LittleEndian.PutUint64(r[40:], e.Pages)
	binary.LittleEndian.PutUint64(r[48:], e.Folios)
	binary.LittleEndian.PutUint32(r[56:], e.Inode.Device)
	binary.LittleEndian.PutUint32(r[60:], e.PID)
	binary.LittleEndian.PutUint32(r[64:], e.TID)
	binary.LittleEndian.PutUint32(r[68:], e.Owner.PID)
	binary.LittleEndian.PutUint64(r[72:], e.Owner.Cgroup)
	copy(r[80:96], e.Comm)
	copy(r[96:112], e.Owner.Comm)
	copy(r[112:128], e.Filesystem)
	if e.Region != nil {
		binary.LittleEndian.PutUint64(r[128:], e.Region.Address)
		binary.LittleEndian.PutUint64(r[136:], e.Region.Length)
		binary.LittleEndian.PutUint64(r[144:], e.Region.PinnedNS)
		binary.LittleEndian.PutUint32(r[152:], e.Region.Access)
		if e.Region.MRN != nil {
			binary.LittleEndian.PutUint32(r[156:], *e.Region.MRN)
		}
		copy(r[160:192], e.Region.Device)
	}
	if e.Kind == Pinned || e.Kind == Refused {
		binary.LittleEndian.PutUint32(r[192:], uint32(-e.Errno))
		for i, name := range e.Names {
			copy(r[200+40*i:][:40], name)
		}
	}
	if e.End != nil {
		binary.LittleEndian.PutUint64(r[192:], e.End.BufferlessPages)
		binary.LittleEndian.PutUint64(r[200:], e.End.UnannouncedPages)
		binary.LittleEndian.PutUint64(r[208:], e.End.DetachedPages)
		binary.LittleEndian.PutUint32(r[216:], e.End.Signal)
	}
	return r
}

// The corpus in testdata is records that kernels write, and what they cannot.
func FuzzDecode(f *testing.F) {
	for _, kind := range kinds() {
		f.Add(sampleOf(kind))
	}
	f.Add(sample())
	f.Add(sample()[:40])
	f.Add(detached(func([]byte) {}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			if !reflect.DeepEqual(e, Event{}) {
				t.Errorf("an event along with the error: %+v", e)
			}
			return
		}
		if e.Index+e.Pages < e.Index || len(e.Comm) > 16 || len(e.Owner.Comm) > 16 || len(e.Filesystem) > 15 ||
			e.Detached && (e.Bufferless || e.Unannounced || e.Inode != Inode{}) || (e.Region != nil) != slices.Contains([]Kind{Pinned, Refused, Released, Numbered}, e.Kind) {
			t.Errorf("accepted %+v from % x", e, data)
		}
		again := encode(e)
		if len(again) != len(data) || !bytes.Equal(again[:80], data[:80]) { // behind it, what follows the end of a name is nobody's
			t.Errorf("% x was read as % x", data, again)
		}
		if other, err := Decode(again); err != nil || !reflect.DeepEqual(other, e) {
			t.Errorf("%+v is read again as %+v, %v", e, other, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	r := sample()
	b.ReportAllocs()
	b.SetBytes(RecordSize)
	for b.Loop() {
		if _, err := Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}

// Of VMCI, V4L2 and AF_XDP there is memory pinned as well, which has no RDMA device.
func TestDecodePinners(t *testing.T) {
	for number, want := range map[uint32]string{4: HolderVMCI, 7: HolderV4L2, 8: HolderXDP} {
		r := sampleOf(Pinned)
		binary.LittleEndian.PutUint32(r[12:], number)
		clear(r[160:192])
		e, err := Decode(r)
		if err != nil || e.Holder != want || e.Region == nil || e.Region.Length != 64<<20 || e.Region.Device != "" || e.Region.MRN != nil {
			t.Errorf("%s: %+v, %v", want, e, err)
		}
	}
}
