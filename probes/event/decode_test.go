package event

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
)

// record is a record as the kernel side lays it out, field by field.
func record() []byte {
	r := make([]byte, RecordSize)
	binary.LittleEndian.PutUint64(r[0:], 123456789)
	binary.LittleEndian.PutUint64(r[8:], 12)
	binary.LittleEndian.PutUint64(r[16:], 100)
	binary.LittleEndian.PutUint64(r[24:], 16384)
	binary.LittleEndian.PutUint32(r[32:], 7<<20|3)
	binary.LittleEndian.PutUint32(r[36:], 3)
	binary.LittleEndian.PutUint32(r[40:], 1)
	binary.LittleEndian.PutUint32(r[44:], 77)
	binary.LittleEndian.PutUint32(r[48:], 4000)
	binary.LittleEndian.PutUint32(r[52:], 4001)
	copy(r[56:], "ib_write_bw")
	copy(r[72:], "ext4")
	binary.LittleEndian.PutUint64(r[88:], 32)
	return r
}

func TestDecode(t *testing.T) {
	r := record()
	got, err := Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		TimeNS: 123456789, Inode: Inode{Device: 7<<20 | 3, Number: 12}, Index: 100, Pages: 16384, Folios: 32,
		Bufferless: true, Unannounced: true, Holder: "umem", PID: 4000, TID: 4001, Comm: "ib_write_bw", StackID: 77,
		Filesystem: "ext4",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	clear(r)
	if got.Comm != "ib_write_bw" || got.Filesystem != "ext4" {
		t.Error("the event refers to the record's memory")
	}
}

func TestDecodeStates(t *testing.T) {
	for state, want := range map[uint32][2]bool{0: {false, false}, 1: {true, false}, 2: {false, true}, 3: {true, true}} {
		r := record()
		binary.LittleEndian.PutUint32(r[36:], state)
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
	r := record()
	clear(r[8:16])
	clear(r[32:36])
	clear(r[72:88])
	binary.LittleEndian.PutUint32(r[36:], 4)
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
	for value, want := range map[uint32]string{1: HolderUmem, 2: HolderDIO, 3: HolderVMWritev} {
		r := record()
		binary.LittleEndian.PutUint32(r[40:], value)
		if e, err := Decode(r); err != nil || e.Holder != want {
			t.Errorf("%d: %q, %v, want %q", value, e.Holder, err, want)
		}
	}
}

func TestDecodeCommAndStack(t *testing.T) {
	r := record()
	copy(r[56:], "exactly16bytes!!")
	binary.LittleEndian.PutUint32(r[44:], math.MaxUint32-16) // -EEXIST
	e, err := Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	if e.Comm != "exactly16bytes!!" || e.StackID != -17 {
		t.Errorf("comm %q, stack %d", e.Comm, e.StackID)
	}
}

func TestDecodeRefuses(t *testing.T) {
	put := func(at int, value uint64, size int) []byte {
		r := record()
		if size == 4 {
			binary.LittleEndian.PutUint32(r[at:], uint32(value))
		} else {
			binary.LittleEndian.PutUint64(r[at:], value)
		}
		return r
	}
	endless := record()
	for at := 76; at < 88; at++ {
		endless[at] = 1
	}
	for name, c := range map[string]struct {
		record []byte
		want   string
	}{
		"nothing":               {nil, "record of 0 bytes, want 96"},
		"cut off":               {record()[:RecordSize-1], "record of 95 bytes, want 96"},
		"too long":              {append(record(), 0), "record of 97 bytes, want 96"},
		"unknown state":         {put(36, 8, 4), "unknown page state 0x8"},
		"detached, bufferless":  {detached(func(r []byte) { r[36] |= 1 }), "detached pages of file 0 on device 0 (\"\") in state 0x5"},
		"detached, unannounced": {detached(func(r []byte) { r[36] |= 2 }), "in state 0x6"},
		"detached, of a file":   {detached(func(r []byte) { r[8] = 12 }), "detached pages of file 12"},
		"detached, of a device": {detached(func(r []byte) { r[32] = 7 }), "on device 7"},
		"detached, of ext4":     {detached(func(r []byte) { r[72] = 'e' }), "(\"e\")"},
		"endless name":          {endless, "name \"ext4\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\" has no end"},
		"unknown holder":        {put(40, 9, 4), "unknown holder 9"},
		"no holder":             {put(40, 0, 4), "unknown holder 0"},
		"empty run":             {put(24, 0, 8), "impossible run of 0 pages at index 100"},
		"no folios":             {put(88, 0, 8), "impossible run of 16384 pages in 0 folios"},
		"more folios":           {put(88, 16385, 8), "impossible run of 16384 pages in 16385 folios"},
		"run wraps round":       {put(24, math.MaxUint64, 8), "impossible run of 18446744073709551615 pages"},
	} {
		_, err := Decode(c.record)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// encode is the record that an event came from, as far as the event tells.
func encode(e Event) []byte {
	r := make([]byte, RecordSize)
	binary.LittleEndian.PutUint64(r[0:], e.TimeNS)
	binary.LittleEndian.PutUint64(r[8:], e.Inode.Number)
	binary.LittleEndian.PutUint64(r[16:], e.Index)
	binary.LittleEndian.PutUint64(r[24:], e.Pages)
	binary.LittleEndian.PutUint32(r[32:], e.Inode.Device)
	for bit, is := range []bool{e.Bufferless, e.Unannounced, e.Detached} {
		if is {
			r[36] |= 1 << bit
		}
	}
	for value, name := range map[byte]string{1: HolderUmem, 2: HolderDIO, 3: HolderVMWritev} {
		if e.Holder == name {
			r[40] = value
		}
	}
	binary.LittleEndian.PutUint32(r[44:], uint32(e.StackID))
	binary.LittleEndian.PutUint32(r[48:], e.PID)
	binary.LittleEndian.PutUint32(r[52:], e.TID)
	copy(r[56:72], e.Comm)
	copy(r[72:88], e.Filesystem)
	binary.LittleEndian.PutUint64(r[88:], e.Folios)
	return r
}

// The corpus in testdata is records that kernels write, and what they cannot.
func FuzzDecode(f *testing.F) {
	f.Add(record())
	f.Add(record()[:40])
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
		if len(data) != RecordSize || e.Pages == 0 || e.Index+e.Pages < e.Index || e.Holder == "" ||
			len(e.Comm) > 16 || len(e.Filesystem) > 15 || e.Detached && (e.Bufferless || e.Unannounced || e.Inode != Inode{}) {
			t.Errorf("accepted %+v from % x", e, data)
		}
		again := encode(e)
		if !bytes.Equal(again[:56], data[:56]) { // behind it, what follows the end of a name is nobody's
			t.Errorf("% x was read as % x", data, again)
		}
		if other, err := Decode(again); err != nil || !reflect.DeepEqual(other, e) {
			t.Errorf("%+v is read again as %+v, %v", e, other, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	r := record()
	b.ReportAllocs()
	b.SetBytes(RecordSize)
	for b.Loop() {
		if _, err := Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}
