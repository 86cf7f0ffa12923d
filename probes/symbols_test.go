package probes

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

const tableText = `ffffffff81000000 T _text
ffffffff81000100 T set_page_dirty_lock
ffffffff81000180 d a_datum
ffffffff81000200 t unpin_user_pages_dirty_lock
ffffffffc0200000 t ib_umem_release	[ib_uverbs]
ffffffffc0200100 t ib_umem_get	[ib_uverbs]
ffffffffc0100000 t ext4_set_page_dirty	[ext4]
ffffffffc0300000 t bpf_prog_0123456789abcdef_dirty_folio_fentry	[bpf]
ffffffffc0300100 t bpf_trampoline_6442	[bpf]
`

// tables opens fixtures in turn and counts how many were opened.
type tables struct {
	text   []string
	opened int
}

func (tb *tables) open() (io.ReadCloser, error) {
	text := tb.text[tb.opened]
	tb.opened++
	return io.NopCloser(strings.NewReader(text)), nil
}

func TestStack(t *testing.T) {
	const later = tableText + "ffffffffc0400000 t new_in	[later]\nffffffffc0400100 t new_out	[later]\n"
	tb := &tables{text: []string{tableText, tableText, later}}
	modules := "as before"
	s := symbols{open: tb.open, loaded: func() string { return modules }}
	frames := make([]uint64, stackDepth)
	copy(frames, []uint64{0xffffffffc0100001, 0xffffffff81000190, 0xffffffff81000234, 0xffffffffc0200088, 0xffffffffc0200188})
	want := []string{
		"ext4_set_page_dirty+0x1",
		"set_page_dirty_lock+0x90", // not the datum
		"unpin_user_pages_dirty_lock+0x34",
		"ib_umem_release+0x88",
		"ib_umem_get+0x88",
	}
	for range 2 {
		got, err := s.stack(frames)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if tb.opened != 1 {
		t.Errorf("read the symbols %d times for one stack", tb.opened)
	}
	if got, err := s.stack([]uint64{0xffffffffc0200010}); err != nil || !reflect.DeepEqual(got, []string{"ib_umem_release+0x10"}) {
		t.Errorf("another stack: %q, %v", got, err)
	}
	if tb.opened != 1 {
		t.Errorf("read the symbols %d times for two stacks", tb.opened)
	}
	// What stands behind all symbols of a module may be something new.
	if got, err := s.stack([]uint64{0xffffffffc0200200}); err != nil || !reflect.DeepEqual(got, []string{"ib_umem_get+0x100"}) || tb.opened != 2 {
		t.Errorf("behind the last: %q, %v, after %d readings", got, err, tb.opened)
	}
	modules = "one more"
	if got, err := s.stack([]uint64{0xffffffffc0400010}); err != nil || !reflect.DeepEqual(got, []string{"new_in+0x10"}) || tb.opened != 3 {
		t.Errorf("of a new module: %q, %v, after %d readings", got, err, tb.opened)
	}
}

// The frames of the program that took a stack, and of the trampolines on its way, are in the table
// that was read before: to read it again takes time that a dying machine does not have.
func TestStackOfBPFReadsOnce(t *testing.T) {
	tb := &tables{text: []string{tableText, tableText}}
	s := symbols{open: tb.open, loaded: func() string { return "" }}
	if err := s.read(); err != nil {
		t.Fatal(err)
	}
	got, err := s.stack([]uint64{0xffffffffc0300042, 0xffffffffc0300150, 0xffffffff81000110, 0xffffffffc0300143, 0xffffffffc0200010})
	want := []string{"set_page_dirty_lock+0x10", "bpf_trampoline_6442+0x43", "ib_umem_release+0x10"}
	if err != nil || !reflect.DeepEqual(got, want) || tb.opened != 1 {
		t.Errorf("got %q, %v, after %d readings, want %q", got, err, tb.opened, want)
	}
	// A program in the midst of a stack is somebody else's, and may have come since.
	if _, err := s.stack([]uint64{0xffffffff81000112, 0xffffffffc0300088}); err != nil || tb.opened != 2 {
		t.Errorf("%v, after %d readings", err, tb.opened)
	}
}

// A later session takes the table of an earlier one, which has not its programs; not once there are
// other modules, nor for what stands amid a stack.
func TestStackByEarlierTable(t *testing.T) {
	const before = "ib_uverbs 4096 0xffffffffc0200000\next4 4096 0xffffffffc0100000\n"
	modules := before
	earlier, err := readSymbols(strings.NewReader(tableText))
	if err != nil {
		t.Fatal(err)
	}
	tb := &tables{text: []string{tableText, tableText, tableText}}
	later := func() *symbols {
		return &symbols{open: tb.open, loaded: func() string { return modules }, all: earlier, modules: before, earlier: true}
	}
	stack := []uint64{0xffffffffc0380042, 0xffffffffc0300150, 0xffffffffc0390010, 0xffffffff81000110, 0xffffffffc0200010}
	want := []string{"set_page_dirty_lock+0x10", "ib_umem_release+0x10"}
	s := later()
	if got, err := s.stack(stack); err != nil || !reflect.DeepEqual(got, want) || tb.opened != 0 {
		t.Errorf("%q, %v, after %d readings, want %q", got, err, tb.opened, want)
	}
	last := []uint64{0xffffffffc0200180, 0xffffffff81000110} // in the last function of a module
	if got, err := later().stack(last); err != nil || len(got) != 2 || tb.opened != 1 {
		t.Errorf("%q, %v, after %d readings", got, err, tb.opened)
	}
	amid := []uint64{0xffffffff81000110, 0xffffffffc0380042, 0xffffffffc0200010}
	if got, err := later().stack(amid); err != nil || len(got) != 3 || tb.opened != 2 {
		t.Errorf("%q, %v, after %d readings", got, err, tb.opened)
	}
	modules = "one more"
	if _, err := later().stack(stack); err != nil || tb.opened != 3 {
		t.Errorf("%v, after %d readings with another module", err, tb.opened)
	}
}

// Who reads in advance need not wait for any stack, also for one with a trampoline amid it, which an
// earlier table does not have.
func TestReadInAdvanceOfEarlierTable(t *testing.T) {
	const modules = "ib_uverbs 4096 0xffffffffc0200000\n"
	earlier, err := readSymbols(strings.NewReader(tableText))
	if err != nil {
		t.Fatal(err)
	}
	tb := &tables{text: []string{tableText + "ffffffffc0380000 t bpf_trampoline_7\t[bpf]\nffffffffc0390000 t bpf_trampoline_8\t[bpf]\n"}}
	s := &symbols{open: tb.open, loaded: func() string { return modules }, all: earlier, modules: modules, earlier: true}
	for range 2 {
		if err := s.read(); err != nil || tb.opened != 1 {
			t.Fatalf("%v, after %d readings", err, tb.opened)
		}
	}
	amid := []uint64{0xffffffff81000110, 0xffffffffc0380042, 0xffffffffc0200010}
	got, err := s.stack(amid)
	if want := []string{"set_page_dirty_lock+0x10", "bpf_trampoline_7+0x42", "ib_umem_release+0x10"}; err != nil || !reflect.DeepEqual(got, want) || tb.opened != 1 {
		t.Errorf("%q, %v, after %d readings, want %q", got, err, tb.opened, want)
	}
}

func TestStackLeavesOutBPF(t *testing.T) {
	s := symbols{open: (&tables{text: []string{tableText}}).open}
	got, err := s.stack([]uint64{0xffffffffc0300042, 0xffffffffc0300150, 0xffffffffc0100005, 0xffffffffc0300042})
	want := []string{"ext4_set_page_dirty+0x5", "bpf_prog_0123456789abcdef_dirty_folio_fentry+0x42"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestStackBelowAllSymbols(t *testing.T) {
	s := symbols{open: (&tables{text: []string{tableText}}).open}
	got, err := s.stack([]uint64{0x1000, 0xffffffff81000001})
	if want := []string{"0x1000", "_text+0x1"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestStackErrors(t *testing.T) {
	hidden := "0000000000000000 T _text\n0000000000000000 t ext4_set_page_dirty\t[ext4]\n"
	s := symbols{open: (&tables{text: []string{hidden}}).open}
	for range 2 { // the second time it does not look
		if _, err := s.stack([]uint64{1}); !errors.Is(err, errHidden) {
			t.Errorf("hidden addresses: %v", err)
		}
	}
	for _, bad := range []string{"ffffffff81000000 T\n", "word T _text\n", "ffffffff81000000 TT _text\n", "\n"} {
		s := symbols{open: (&tables{text: []string{bad}}).open}
		if _, err := s.stack([]uint64{1}); err == nil || !strings.Contains(err.Error(), "unexpected line") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The functions of a module are told to anybody, by name.
func TestFunctionsOf(t *testing.T) {
	if found, err := functionsOf("no_such_module"); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}
