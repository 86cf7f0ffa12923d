package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// The lengths of records: struct event in probes/bpf/events.h, and what begins with one.
const (
	RecordSize        = 128 // struct event
	PinRecordSize     = RecordSize + regionSize + 8 + pathNames*pathName
	ReleaseRecordSize = RecordSize + regionSize + 32
	NumberRecordSize  = RecordSize + regionSize

	regionSize = 64
	pathNames  = 8
	pathName   = 40
)

// The bits of a record's state: enum state.
const (
	stateBufferless  = 1 << 0
	stateUnannounced = 1 << 1
	stateDetached    = 1 << 2
	statePages       = stateBufferless | stateUnannounced | stateDetached
	stateExiting     = 1 << 3
	stateUnseen      = 1 << 4
	stateNumbered    = 1 << 5
	stateReleased    = stateExiting | stateUnseen | stateNumbered
)

// holders names the values of enum holder.
var holders = map[uint32]string{0: "", 1: HolderUmem, 2: HolderDIO, 3: HolderVMWritev, 4: HolderVMCI, 5: HolderNFS, 6: HolderFUSE, 7: HolderV4L2, 8: HolderXDP, 9: Holder9P}

// A body is what a kind of record has.
type body struct {
	kind   Kind
	size   int
	states uint32 // that it may have
	decode func(record, *Event) error
}

// bodies has those of enum kind.
var bodies = map[uint32]body{
	1: {Dirtied, RecordSize, statePages, decodeRun},
	2: {Stripped, RecordSize, 0, decodeFolio},
	3: {Dropped, RecordSize, 0, decodeFolio},
	4: {Pinned, PinRecordSize, stateUnseen | stateNumbered, decodePin},
	5: {Refused, PinRecordSize, 0, decodePin},
	6: {Released, ReleaseRecordSize, stateReleased, decodeRelease},
	7: {Numbered, NumberRecordSize, stateNumbered, decodeNumber},
}

// A record is what the ring holds. All its numbers are in the machine's order, and the machine
// an x86.
type record []byte

func (r record) u32(at int) uint32 { return binary.LittleEndian.Uint32(r[at:]) }
func (r record) u64(at int) uint64 { return binary.LittleEndian.Uint64(r[at:]) }

// text is a C string in a field of that size. One of 16 bytes that is a task's name may have
// no end.
func (r record) text(at, size int) (text string, ended bool) {
	field, _, ended := bytes.Cut(r[at:at+size], []byte{0})
	return string(field), ended
}

// Decode reads one record as the kernel side wrote it. The record is its own
// copy: nothing of it is kept. A record that the kernel side cannot have
// written is an error.
func Decode(data []byte) (Event, error) {
	r := record(data)
	if len(r) < RecordSize {
		return Event{}, fmt.Errorf("event: record of %d bytes, want %d at least", len(r), RecordSize)
	}
	body, ok := bodies[r.u32(8)]
	if !ok {
		return Event{}, fmt.Errorf("event: unknown kind %d", r.u32(8))
	}
	if len(r) != body.size {
		return Event{}, fmt.Errorf("event: %s in a record of %d bytes, want %d", body.kind, len(r), body.size)
	}
	if state := r.u32(16); state&^body.states != 0 {
		return Event{}, fmt.Errorf("event: %s in the unknown state %#x", body.kind, state)
	}
	holder, ok := holders[r.u32(12)]
	if !ok {
		return Event{}, fmt.Errorf("event: unknown holder %d", r.u32(12))
	}
	filesystem, ended := r.text(112, 16)
	if !ended {
		return Event{}, fmt.Errorf("event: the file system's name %q has no end", filesystem)
	}
	e := Event{
		Kind: body.kind, TimeNS: r.u64(0), Holder: holder, StackID: int32(r.u32(20)),
		Inode: Inode{Number: r.u64(24), Device: r.u32(56)}, Filesystem: filesystem,
		Index: r.u64(32), Pages: r.u64(40), Folios: r.u64(48),
		PID: r.u32(60), TID: r.u32(64), Owner: Owner{PID: r.u32(68), Cgroup: r.u64(72)},
	}
	e.Comm, _ = r.text(80, 16)
	e.Owner.Comm, _ = r.text(96, 16)
	if e.Index+e.Pages < e.Pages {
		return Event{}, fmt.Errorf("event: impossible run of %d pages at index %d", e.Pages, e.Index)
	}
	if err := body.decode(r, &e); err != nil {
		return Event{}, fmt.Errorf("event: %s: %w", body.kind, err)
	}
	return e, nil
}

func decodeRun(r record, e *Event) error {
	if e.Holder == "" {
		return fmt.Errorf("unknown holder 0")
	}
	if e.Pages == 0 {
		return fmt.Errorf("impossible run of 0 pages at index %d", e.Index)
	}
	if e.Folios == 0 || e.Folios > e.Pages {
		return fmt.Errorf("impossible run of %d pages in %d folios", e.Pages, e.Folios)
	}
	state := r.u32(16)
	if state&stateDetached != 0 && (state != stateDetached || e.Inode != Inode{} || e.Filesystem != "") {
		return fmt.Errorf("detached pages of file %d on device %d (%q) in state %#x", e.Inode.Number, e.Inode.Device, e.Filesystem, state)
	}
	e.Bufferless = state&stateBufferless != 0
	e.Unannounced = state&stateUnannounced != 0
	e.Detached = state&stateDetached != 0
	return nil
}

func decodeFolio(_ record, e *Event) error {
	if e.Pages == 0 || e.Folios != 1 {
		return fmt.Errorf("%d pages in %d folios, of which there is one", e.Pages, e.Folios)
	}
	return nil
}

// pinners are the holders that a kind is told of, of those kinds that have a region.
var pinners = map[Kind][]string{
	Pinned: {HolderUmem, HolderVMCI, HolderV4L2, HolderXDP}, Refused: {HolderUmem, HolderV4L2, HolderXDP}, Released: {HolderUmem}, Numbered: {HolderUmem},
}

// decodeRegion reads what records of regions begin with.
func decodeRegion(r record, e *Event) error {
	if !slices.Contains(pinners[e.Kind], e.Holder) {
		return fmt.Errorf("a region of the holder %q", e.Holder)
	}
	device, ended := r.text(RecordSize+32, 32)
	if !ended {
		return fmt.Errorf("the RDMA device's name %q has no end", device)
	}
	e.Region = &Region{
		Address: r.u64(RecordSize), Length: r.u64(RecordSize + 8), PinnedNS: r.u64(RecordSize + 16),
		Access: r.u32(RecordSize + 24), Device: device,
	}
	if r.u32(16)&stateNumbered != 0 {
		number := r.u32(RecordSize + 28)
		e.Region.MRN = &number
	}
	if e.Holder != HolderUmem && (device != "" || e.Region.MRN != nil) {
		return fmt.Errorf("a region of the holder %q on the RDMA device %q", e.Holder, device)
	}
	return nil
}

func decodeNumber(r record, e *Event) error {
	if err := decodeRegion(r, e); err != nil {
		return err
	}
	if e.Region.MRN == nil {
		return fmt.Errorf("no number")
	}
	return nil
}

func decodePin(r record, e *Event) error {
	if err := decodeRegion(r, e); err != nil {
		return err
	}
	const maxErrno = 4095 // MAX_ERRNO, include/linux/err.h
	errno := -int64(int32(r.u32(RecordSize + regionSize)))
	if errno < 0 || errno > maxErrno || (errno == 0) != (e.Kind == Pinned) {
		return fmt.Errorf("the answer %d", -errno)
	}
	if unseen := r.u32(16)&stateUnseen != 0; unseen != (e.Kind == Pinned && e.Region.PinnedNS == 0) {
		return fmt.Errorf("pinned at %d in state %#x", e.Region.PinnedNS, r.u32(16))
	}
	e.Errno = int32(errno)
	for i := range pathNames {
		name, ended := r.text(RecordSize+regionSize+8+i*pathName, pathName)
		if !ended {
			return fmt.Errorf("the name %q has no end", name)
		}
		if name == "" {
			break
		}
		e.Names = append(e.Names, name)
	}
	return nil
}

func decodeRelease(r record, e *Event) error {
	if err := decodeRegion(r, e); err != nil {
		return err
	}
	const at = RecordSize + regionSize
	state := r.u32(16)
	e.End = &End{
		BufferlessPages: r.u64(at), UnannouncedPages: r.u64(at + 8), DetachedPages: r.u64(at + 16), Signal: r.u32(at + 24),
		Exiting: state&stateExiting != 0, Unseen: state&stateUnseen != 0,
	}
	if most := slices.Max([]uint64{e.End.BufferlessPages, e.End.UnannouncedPages, e.End.DetachedPages, e.Folios}); most > e.Pages {
		return fmt.Errorf("%d pages of %d", most, e.Pages)
	}
	if e.End.Signal > 0x7f || e.End.Signal != 0 && !e.End.Exiting {
		return fmt.Errorf("signal %d, exiting: %v", e.End.Signal, e.End.Exiting)
	}
	return nil
}
