// Package naming has the kernel name its own addresses, as it does in a stack trace: nobody needs to read its table of symbols,
// which takes a good part of a second where a machine is slow, nor the privilege to see addresses in that.
package naming

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A Namer names addresses by an iterator over a map that has them, which Linux 5.9 and newer have, if built with types (BTF).
// Its methods may be called by several goroutines at once.
type Namer struct {
	mu        sync.Mutex
	coll      *ebpf.Collection
	addresses *ebpf.Memory
	iterator  *link.Iter
}

const (
	theMap     = "addresses"
	theProgram = "name_address"

	// format is how the kernel prints the caller at a return address: the function of the byte before, and the offset of the
	// address itself (lib/vsprintf.c, %pB). 5.10 has no other format here that names functions.
	format = "%pB\n\x00"

	// Of struct bpf_iter__bpf_map_elem (kernel/bpf/map_iter.c), and of struct bpf_iter_meta (include/linux/bpf.h).
	offMeta  = 0
	offValue = 24
	offSeq   = 0

	wordSize = 8
)

var errEnded = errors.New("it ended early")

// Open makes one for up to most addresses at once. The cache is for the kernel's types.
func Open(cache *btf.Cache, most int) (*Namer, error) {
	n := &Namer{}
	if err := n.open(cache, most); err != nil {
		return nil, errors.Join(fmt.Errorf("naming: %w", err), n.Close())
	}
	return n, nil
}

func (n *Namer) open(cache *btf.Cache, most int) (err error) {
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{theMap: {
			Name: theMap, Type: ebpf.Array, KeySize: 4, ValueSize: wordSize, MaxEntries: uint32(most), Flags: unix.BPF_F_MMAPABLE,
		}},
		Programs: map[string]*ebpf.ProgramSpec{theProgram: {
			Name: theProgram, Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_map_elem", License: "GPL", Instructions: program(),
		}},
		ByteOrder: binary.NativeEndian,
	}
	if n.coll, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: cache}); err != nil {
		return err
	}
	if n.addresses, err = n.coll.Maps[theMap].Memory(); err != nil {
		return err
	}
	n.iterator, err = link.AttachIter(link.IterOptions{Program: n.coll.Programs[theProgram], Map: n.coll.Maps[theMap]})
	return err
}

// program prints an element of the map.
func program() asm.Instructions {
	var text [wordSize]byte
	copy(text[:], format)
	return asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, offMeta, asm.DWord),
		asm.LoadMem(asm.R7, asm.R1, offValue, asm.DWord),
		asm.JEq.Imm(asm.R7, 0, "end"), // behind the last
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.StoreMem(asm.RFP, -wordSize, asm.R1, asm.DWord),
		asm.LoadImm(asm.R1, int64(binary.NativeEndian.Uint64(text[:])), asm.DWord),
		asm.StoreMem(asm.RFP, -2*wordSize, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, offSeq, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -2*wordSize),
		asm.Mov.Imm(asm.R3, int32(len(format))),
		asm.Mov.Reg(asm.R4, asm.RFP),
		asm.Add.Imm(asm.R4, -wordSize),
		asm.Mov.Imm(asm.R5, wordSize),
		asm.FnSeqPrintf.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}

// Names are those of the addresses, each "symbol+0xoffset", or "0xaddress" where the kernel has none. They are handed over in
// memory: bpf(2), asked to change a map, would keep the probes of the CPU from running.
func (n *Namer) Names(addresses []uint64) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var words []byte
	for _, a := range addresses {
		words = binary.NativeEndian.AppendUint64(words, a+1) // see format
	}
	if _, err := n.addresses.WriteAt(words, 0); err != nil {
		return nil, fmt.Errorf("naming: %w", err)
	}
	told, err := n.iterator.Open()
	if err != nil {
		return nil, fmt.Errorf("naming: %w", err)
	}
	defer told.Close()
	names := make([]string, len(addresses))
	lines := bufio.NewScanner(told)
	for i := range names {
		if !lines.Scan() {
			return nil, fmt.Errorf("naming: the kernel named %d of %d addresses: %w", i, len(addresses), errors.Join(lines.Err(), errEnded))
		}
		if names[i], err = name(lines.Text()); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// name takes the one that was added off "symbol+0xoffset/0xsize [module]", or off "0xaddress".
func name(told string) (string, error) {
	told, _, _ = strings.Cut(told, "/")
	plus := strings.LastIndexByte(told, '+') + 1
	n, err := strconv.ParseUint(told[plus:], 0, 64)
	if err != nil || n == 0 {
		return "", fmt.Errorf("naming: the kernel names an address %q, which is no symbol+0xoffset", told)
	}
	return fmt.Sprintf("%s%#x", told[:plus], n-1), nil
}

// Close lets go of it. It may be called again.
func (n *Namer) Close() error {
	var err error
	if n.iterator != nil {
		err = n.iterator.Close()
	}
	if n.coll != nil {
		n.coll.Close()
	}
	return err
}
