package probes

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"umemstress/probes/event"
)

// Every program that a hook names is in the committed object and of the type
// that its way of attaching takes.
func TestHooksNamePrograms(t *testing.T) {
	spec, err := loadDirty()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{abandonedProgram: true}
	check := func(name string, typ ebpf.ProgramType, attach ebpf.AttachType) {
		t.Helper()
		named[name] = true
		prog := spec.Programs[name]
		if prog == nil {
			t.Errorf("program %s is not in the object", name)
			return
		}
		if prog.Type != typ || prog.AttachType != attach {
			t.Errorf("program %s is %s/%s, want %s/%s", name, prog.Type, prog.AttachType, typ, attach)
		}
	}
	check(abandonedProgram, ebpf.RawTracepoint, ebpf.AttachNone)
	for _, h := range hooks {
		for _, s := range h.sites {
			check(s.fentry, ebpf.Tracing, ebpf.AttachTraceFEntry)
			check(s.kprobe, ebpf.Kprobe, ebpf.AttachNone)
			if (s.fexit == "") != (s.kretprobe == "") {
				t.Errorf("%s: a program at the return for one method only", s.symbol)
			}
			if s.fexit != "" {
				check(s.fexit, ebpf.Tracing, ebpf.AttachTraceFExit)
				check(s.kretprobe, ebpf.Kprobe, ebpf.AttachNone)
			}
		}
	}
	for name := range spec.Programs {
		if !named[name] {
			t.Errorf("program %s is in the object, but no hook names it", name)
		}
	}
}

func TestHooksAreComplete(t *testing.T) {
	symbols := make(map[string]bool)
	for _, h := range hooks {
		if h.purpose == "" || h.module == "" || h.without == "" || len(h.sites) == 0 {
			t.Errorf("hook %+v is incomplete", h)
		}
		for _, s := range h.sites {
			if s.symbol == "" || s.kernels == "" || symbols[s.symbol] {
				t.Errorf("%s: site %+v is incomplete or there twice", h.purpose, s)
			}
			symbols[s.symbol] = true
		}
	}
}

// The constants in Go are those of the C side.
func TestObjectMatchesConstants(t *testing.T) {
	spec, err := loadDirty()
	if err != nil {
		t.Fatal(err)
	}
	if got := spec.Maps[dirtyMapStacks].ValueSize; got != stackDepth*8 {
		t.Errorf("stacks keeps %d bytes of a stack, want %d frames", got, stackDepth)
	}
	if got := spec.Maps[dirtyMapReleases].MaxEntries; got != maxActive {
		t.Errorf("releases has room for %d, kretprobes for %d", got, maxActive)
	}
}

// event.Decode reads what the C struct, as clang laid it out, holds.
func TestDecodeMatchesStruct(t *testing.T) {
	in := dirtyEvent{
		TimeNs: 1, Inode: 2, Index: 3, Pages: 4, Device: 5,
		State:  dirtyPageStatePAGE_BUFFERLESS,
		Holder: dirtyHolderHOLDER_UMEM,
		Stack:  -6, Pid: 7, Tid: 8, Comm: [16]int8{'c', 'o', 'm', 'm'},
	}
	decode := func() event.Event {
		t.Helper()
		var record bytes.Buffer
		if err := binary.Write(&record, binary.LittleEndian, in); err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode(record.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	got := decode()
	if got.TimeNS != 1 || got.Inode != (event.Inode{Device: 5, Number: 2}) || got.Index != 3 || got.Pages != 4 ||
		!got.Bufferless || got.Unannounced || got.Holder != "umem" ||
		got.StackID != -6 || got.PID != 7 || got.TID != 8 || got.Comm != "comm" {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	in.State = dirtyPageStatePAGE_UNANNOUNCED
	if got := decode(); got.Bufferless || !got.Unannounced {
		t.Errorf("decoded %+v from %+v", got, in)
	}
}
