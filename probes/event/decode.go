package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// RecordSize is the length of a record: struct event in probes/bpf/events.h.
const RecordSize = 96

// The bits of a record's state: enum page_state.
const (
	stateBufferless  = 1 << 0
	stateUnannounced = 1 << 1
	stateDetached    = 1 << 2
	stateKnown       = stateBufferless | stateUnannounced | stateDetached
)

// holders names the values of enum holder.
var holders = map[uint32]string{1: HolderUmem, 2: HolderDIO, 3: HolderVMWritev}

// Decode reads one record as the kernel side wrote it. The record is its own
// copy: nothing of it is kept. A record that the kernel side cannot have
// written is an error.
func Decode(record []byte) (Event, error) {
	if len(record) != RecordSize {
		return Event{}, fmt.Errorf("event: record of %d bytes, want %d", len(record), RecordSize)
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(record[at:]) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(record[at:]) }

	state := u32(36)
	if state&^stateKnown != 0 {
		return Event{}, fmt.Errorf("event: unknown page state %#x", state)
	}
	holder, ok := holders[u32(40)]
	if !ok {
		return Event{}, fmt.Errorf("event: unknown holder %d", u32(40))
	}
	pages := u64(24)
	if pages == 0 || u64(16)+pages < pages {
		return Event{}, fmt.Errorf("event: impossible run of %d pages at index %d", pages, u64(16))
	}
	folios := u64(88)
	if folios == 0 || folios > pages {
		return Event{}, fmt.Errorf("event: impossible run of %d pages in %d folios", pages, folios)
	}
	inode := Inode{Number: u64(8), Device: u32(32)}
	comm, _, _ := bytes.Cut(record[56:72], []byte{0})
	filesystem, _, ended := bytes.Cut(record[72:88], []byte{0})
	if !ended {
		return Event{}, fmt.Errorf("event: the file system's name %q has no end", filesystem)
	}
	if state&stateDetached != 0 && (state != stateDetached || inode != Inode{} || len(filesystem) > 0) {
		return Event{}, fmt.Errorf("event: detached pages of file %d on device %d (%q) in state %#x", inode.Number, inode.Device, filesystem, state)
	}
	return Event{
		TimeNS:      u64(0),
		Inode:       inode,
		Filesystem:  string(filesystem),
		Index:       u64(16),
		Pages:       pages,
		Folios:      folios,
		Bufferless:  state&stateBufferless != 0,
		Unannounced: state&stateUnannounced != 0,
		Detached:    state&stateDetached != 0,
		Holder:      holder,
		StackID:     int32(u32(44)),
		PID:         u32(48),
		TID:         u32(52),
		Comm:        string(comm),
	}, nil
}
