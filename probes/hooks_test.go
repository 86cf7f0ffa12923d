package probes

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"umemstress/probes/event"
)

func everyHook() []hook {
	return stock().hooksFor(Holders(), Kinds())
}

// Every holder that an event can name can be asked for.
func TestHolders(t *testing.T) {
	if releases := stock().releases; len(Holders()) != len(releases) {
		t.Errorf("%d holders for %d hooks", len(Holders()), len(releases))
	}
	for _, holder := range []dirtyHolder{dirtyHolderHOLDER_UMEM, dirtyHolderHOLDER_DIO, dirtyHolderHOLDER_VMWRITEV, dirtyHolderHOLDER_VMCI, dirtyHolderHOLDER_NFS, dirtyHolderHOLDER_FUSE, dirtyHolderHOLDER_V4L2, dirtyHolderHOLDER_XDP, dirtyHolderHOLDER_9P} {
		if e := decode(t, dirtyEvent{Kind: dirtyKindKIND_DIRTIED, Pages: 1, Folios: 1, Holder: holder}); !knownHolder(e.Holder) {
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
		for _, s := range everySite(h) {
			for _, p := range []struct {
				name   string
				typ    ebpf.ProgramType
				attach ebpf.AttachType
			}{
				{s.fentry, ebpf.Tracing, ebpf.AttachTraceFEntry},
				{s.fexit, ebpf.Tracing, ebpf.AttachTraceFExit},
				{s.kprobe, ebpf.Kprobe, ebpf.AttachNone},
				{s.kretprobe, ebpf.Kprobe, ebpf.AttachNone},
			} {
				if p.name != "" {
					check(p.name, p.typ, p.attach)
				}
			}
			if s.fentry == "" && s.fexit == "" && s.kprobe == "" {
				t.Errorf("%s: no program at all", s.symbol)
			}
			if s.fentry != "" && s.kprobe != "" && (s.fexit == "") != (s.kretprobe == "") {
				t.Errorf("%s: a program at the return for one method only", s.symbol)
			}
		}
	}
	for name := range spec.Programs {
		if !named[name] {
			t.Errorf("program %s is in the object, but no hook names it", name)
		}
	}
}

// everySite has those that go with another one, too.
func everySite(h hook) []site {
	list := slices.Clone(h.sites)
	for _, s := range h.sites {
		for more := s.also; more != nil; more = more.also {
			list = append(list, *more)
		}
	}
	return list
}

func TestHooksAreComplete(t *testing.T) {
	symbols := make(map[string]bool)
	for _, h := range everyHook() {
		if h.purpose == "" || h.without == "" || len(h.sites) == 0 {
			t.Errorf("hook %+v is incomplete", h)
		}
		for _, s := range everySite(h) {
			place := s.symbol + " " + s.fexit + " " + s.kretprobe
			if s.also != nil { // of kernels that have another function for it
				place += " " + s.also.symbol
			}
			if s.symbol == "" || s.kernels == "" || symbols[place] {
				t.Errorf("%s: site %+v is incomplete or there twice", h.purpose, s)
			}
			symbols[place] = true
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

// event.Decode reads what the C structs, as clang laid them out, hold.
func TestDecodeMatchesStruct(t *testing.T) {
	in := dirtyEvent{
		Kind: dirtyKindKIND_DIRTIED, TimeNs: 1, Inode: 2, Index: 3, Pages: 4, Folios: 2, Device: 5,
		State: dirtyStatePAGE_BUFFERLESS, Holder: dirtyHolderHOLDER_UMEM,
		Stack: -6, Pid: 7, Tid: 8, Comm: [16]int8{'c', 'o', 'm', 'm'}, Filesystem: [16]int8{'e', 'x', 't', '4'},
		Owner: 9, Cgroup: 10, OwnerComm: [16]int8{'o'},
	}
	want := event.Event{
		Kind: event.Dirtied, TimeNS: 1, Inode: event.Inode{Device: 5, Number: 2}, Index: 3, Pages: 4, Folios: 2, Bufferless: true,
		Holder: event.HolderUmem, StackID: -6, PID: 7, TID: 8, Comm: "comm", Filesystem: "ext4",
		Owner: event.Owner{PID: 9, Cgroup: 10, Comm: "o"},
	}
	if got := decode(t, in); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	in.State = dirtyStatePAGE_UNANNOUNCED
	if got := decode(t, in); got.Bufferless || !got.Unannounced || got.Detached {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	detached := dirtyEvent{Kind: dirtyKindKIND_DIRTIED, Pages: 4, Folios: 4, State: dirtyStatePAGE_DETACHED, Holder: dirtyHolderHOLDER_DIO}
	if got := decode(t, detached); got.Bufferless || got.Unannounced || !got.Detached {
		t.Errorf("decoded %+v from %+v", got, detached)
	}
	in.State, in.Folios = 0, 1
	want.Bufferless, want.Folios = false, 1
	for kind, name := range map[dirtyKind]event.Kind{dirtyKindKIND_STRIPPED: event.Stripped, dirtyKindKIND_DROPPED: event.Dropped} {
		in.Kind, want.Kind = kind, name
		if got := decode(t, in); !reflect.DeepEqual(got, want) {
			t.Errorf("decoded %+v from %+v", got, in)
		}
	}
}

// The same of regions.
func TestDecodeMatchesRegions(t *testing.T) {
	region := &event.Region{Address: 1 << 40, Length: 2 << 20, PinnedNS: 3, Access: 4, Device: "rxe0"}
	in := dirtyPinEvent{Event: dirtyEvent{Kind: dirtyKindKIND_PINNED, Holder: dirtyHolderHOLDER_UMEM, Pages: 4}}
	in.Region.Address, in.Region.Length, in.Region.PinnedNs, in.Region.Access = 1<<40, 2<<20, 3, 4
	in.Region.Rdma = [32]int8{'r', 'x', 'e', '0'}
	in.Names[0][0], in.Names[1][0] = 'f', 'd'
	want := event.Event{Kind: event.Pinned, Holder: event.HolderUmem, Pages: 4, Region: region, Names: []string{"f", "d"}}
	if got := decode(t, in); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	listed, wantListed := in, want
	listed.Event.State, listed.Region.PinnedNs = dirtyStateRELEASE_UNSEEN, 0
	wantListed.Region = &event.Region{Address: 1 << 40, Length: 2 << 20, Access: 4, Device: "rxe0"}
	if got := decode(t, listed); !reflect.DeepEqual(got, wantListed) {
		t.Errorf("decoded %+v from %+v", got, listed)
	}
	number := uint32(6)
	with := *region
	with.MRN = &number
	named := dirtyNumberEvent{Event: in.Event, Region: in.Region}
	named.Event.Kind, named.Event.State, named.Region.Number = dirtyKindKIND_NUMBERED, dirtyStateREGION_NUMBERED, number
	wantNamed := event.Event{Kind: event.Numbered, Holder: event.HolderUmem, Pages: 4, Region: &with}
	if got := decode(t, named); !reflect.DeepEqual(got, wantNamed) {
		t.Errorf("decoded %+v from %+v", got, named)
	}
	in.Event.Kind, in.Error = dirtyKindKIND_REFUSED, -14
	want.Kind, want.Errno = event.Refused, 14
	if got := decode(t, in); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v from %+v", got, in)
	}
	end := dirtyReleaseEvent{Event: in.Event, Region: in.Region, Bufferless: 3, Unannounced: 2, Detached: 1, Signal: 9}
	end.Event.Kind, end.Event.State = dirtyKindKIND_RELEASED, dirtyStateRELEASE_EXITING|dirtyStateRELEASE_UNSEEN
	want = event.Event{
		Kind: event.Released, Holder: event.HolderUmem, Pages: 4, Region: region,
		End: &event.End{BufferlessPages: 3, UnannouncedPages: 2, DetachedPages: 1, Exiting: true, Signal: 9, Unseen: true},
	}
	if got := decode(t, end); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v from %+v", got, end)
	}
}

func decode(t *testing.T, in any) event.Event {
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

// What a session expects: the hooks of a module that may yet be loaded wait for it, and what this kernel will never have is left out.
func TestExpected(t *testing.T) {
	no := func() bool { return false }
	hooks := present(expected([]hook{
		{purpose: "here", module: "no_such_module"},
		{purpose: "later", module: "no_such_module", here: no},
		{purpose: "later, too", module: "no_such_module", here: no, optional: true},
		{purpose: "never", here: no},
		{purpose: "never, though optional", here: no, optional: true},
	}))
	var got []string
	for _, h := range hooks {
		if h.purpose == "here" == (h.later || h.optional) {
			t.Errorf("%s: %+v", h.purpose, h)
		}
		got = append(got, h.purpose)
	}
	if want := []string{"here", "later", "later, too"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A site with a function in another module cannot be attached with the hook's.
func TestWithin(t *testing.T) {
	if s := netfsSite("f", ""); !s.within("netfs") || !slices.Equal(s.functions(), []string{"f", "netfs_unbuffered_read_iter_locked"}) {
		t.Errorf("%q", s.functions())
	}
	if s := v9fsSite(); s.within("netfs") {
		t.Error("9pnet_virtio is not netfs")
	}
}

// Every site that is tried when its module comes has a program of kprobes at each place, as nothing else can be put there.
func TestLaterByKprobes(t *testing.T) {
	for _, h := range everyHook() {
		if h.here == nil || h.module == "" {
			continue
		}
		for _, s := range everySite(h) {
			if s.kprobe == "" {
				t.Errorf("%s: no program for a kprobe on %s", h.purpose, s.symbol)
			}
		}
	}
}
