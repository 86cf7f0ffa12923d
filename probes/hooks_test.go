package probes

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"

	"umemstress/probes/event"
)

func everyHook() []hook {
	t := stock()
	list := []hook{t.dirtied}
	for _, holder := range Holders() {
		list = append(list, t.releases[holder])
	}
	return list
}

// Every holder that an event can name can be asked for.
func TestHolders(t *testing.T) {
	if releases := stock().releases; len(Holders()) != len(releases) {
		t.Errorf("%d holders for %d hooks", len(Holders()), len(releases))
	}
	for _, holder := range []dirtyHolder{dirtyHolderHOLDER_UMEM, dirtyHolderHOLDER_DIO, dirtyHolderHOLDER_VMWRITEV} {
		if e := decode(t, dirtyEvent{Pages: 1, Folios: 1, Holder: holder}); !knownHolder(e.Holder) {
			t.Errorf("no session can watch holder %q", e.Holder)
		}
	}
}

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
	for _, h := range everyHook() {
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
	for _, h := range everyHook() {
		if h.purpose == "" || h.without == "" || len(h.sites) == 0 {
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
		TimeNs: 1, Inode: 2, Index: 3, Pages: 4, Folios: 2, Device: 5,
		State:  dirtyPageStatePAGE_BUFFERLESS,
		Holder: dirtyHolderHOLDER_UMEM,
		Stack:  -6, Pid: 7, Tid: 8, Comm: [16]int8{'c', 'o', 'm', 'm'}, Filesystem: [16]int8{'e', 'x', 't', '4'},
	}
	want := event.Event{
		TimeNS: 1, Inode: event.Inode{Device: 5, Number: 2}, Index: 3, Pages: 4, Folios: 2, Bufferless: true,
		Holder: event.HolderUmem, StackID: -6, PID: 7, TID: 8, Comm: "comm", Filesystem: "ext4",
	}
	if got := decode(t, in); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	in.State = dirtyPageStatePAGE_UNANNOUNCED
	if got := decode(t, in); got.Bufferless || !got.Unannounced || got.Detached {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	in = dirtyEvent{Pages: 4, Folios: 4, State: dirtyPageStatePAGE_DETACHED, Holder: dirtyHolderHOLDER_DIO}
	if got := decode(t, in); got.Bufferless || got.Unannounced || !got.Detached {
		t.Errorf("decoded %+v from %+v", got, in)
	}
}

func decode(t *testing.T, in dirtyEvent) event.Event {
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
