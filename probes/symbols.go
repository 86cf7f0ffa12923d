package probes

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"umemstress/probes/naming"
)

// stackDepth is how many frames the map `stacks` keeps of a stack.
const stackDepth = 32

// errHidden: the kernel shows all addresses as 0 to those who may not know them.
var errHidden = errors.New("/proc/kallsyms hides its addresses (kernel.kptr_restrict, or CAP_SYSLOG missing)")

var errNoNamer = errors.New("probes: the kernel names no addresses (BPF iterators of Linux 5.9, and BTF)")

// symbols names kernel addresses. Where the kernel does not do that, it keeps the kernel's symbol table, a few MiB: to read it takes
// a tenth of a second, and who names a stack may have no longer to live.
type symbols struct {
	mu      sync.Mutex
	namer   *naming.Namer                 // nil: the kernel names no addresses, and the table is read
	open    func() (io.ReadCloser, error) // nil: /proc/kallsyms
	loaded  func() string                 // nil: see loadedModules
	hidden  bool
	all     *symbolTable
	earlier bool              // the table was read before this session loaded its programs
	modules string            // that were loaded when the table was read
	names   map[uint64]string // of addresses that were asked for
}

// last is the table that a session of this process read last. As long as the modules are the same,
// the next one needs no other: it differs in programs of BPF alone.
var last struct {
	mu      sync.Mutex
	all     *symbolTable
	modules string
}

// inherit begins with the table of an earlier session, if there is one.
func (s *symbols) inherit() {
	last.mu.Lock()
	defer last.mu.Unlock()
	s.all, s.modules, s.earlier = last.all, last.modules, last.all != nil
}

// bequeath leaves the table to later sessions.
func (s *symbols) bequeath() {
	last.mu.Lock()
	defer last.mu.Unlock()
	last.all, last.modules = s.all, s.modules
}

// stack names a stack's addresses, which end at the first 0. The frames of the
// BPF program that took the stack are left out: attached to fentry, its stack begins with itself;
// as a kprobe, with the function probed.
func (s *symbols) stack(addresses []uint64) ([]string, error) {
	if end := slices.Index(addresses, 0); end >= 0 {
		addresses = addresses[:end]
	}
	if s.namer != nil {
		if names, err := s.namer.Names(addresses); err == nil {
			return names[ownNames(names):], nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.learn(addresses); err != nil {
		return nil, err
	}
	addresses = addresses[s.ownFrames(addresses):]
	stack := make([]string, len(addresses))
	for i, a := range addresses {
		stack[i] = s.names[a]
	}
	return stack, nil
}

// ownNames counts the leading names that belong to BPF: a stack without any other is of nothing else.
func ownNames(names []string) int {
	n := slices.IndexFunc(names, func(name string) bool { return !strings.HasPrefix(strings.TrimLeft(name, "_"), "bpf_") })
	return max(n, 0)
}

func (s *symbols) close() error {
	if s.namer == nil {
		return nil
	}
	return s.namer.Close()
}

// read reads the table, so that the next stack need not wait for that. One from before this session's
// programs will not do: a trampoline of theirs stands amid the stack of a function that has both an
// fentry and an fexit (seen on 6.12: __bio_release_pages), and is not in it.
func (s *symbols) read() error {
	if s.namer != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all != nil && !s.earlier && s.loadedNow() == s.modules {
		return nil
	}
	return s.readAnew()
}

func (s *symbols) readAnew() error {
	if s.hidden {
		return errHidden
	}
	open := s.open
	if open == nil {
		open = func() (io.ReadCloser, error) { return os.Open("/proc/kallsyms") }
	}
	modules := s.loadedNow() // before: a module that comes now makes it be read again
	file, err := open()
	if err != nil {
		return err
	}
	defer file.Close()
	all, err := readSymbols(file)
	if err != nil {
		s.hidden = errors.Is(err, errHidden) // and stays so
		return err
	}
	s.all, s.modules, s.earlier = all, modules, false
	if s.open == nil {
		s.bequeath()
	}
	return nil
}

// learn names those of the addresses that have no name yet. The table is read anew for one that
// it may have come too early for: of a module that was loaded since, of somebody's BPF program.
func (s *symbols) learn(addresses []uint64) error {
	if s.names == nil {
		s.names = make(map[uint64]string)
	}
	var unknown []uint64
	for _, a := range addresses {
		if _, known := s.names[a]; !known {
			unknown = append(unknown, a)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	if !s.tells(addresses) {
		if err := s.readAnew(); err != nil {
			return err
		}
	}
	for _, a := range unknown {
		s.names[a] = s.all.name(a)
	}
	return nil
}

// tells tells whether the table is certain to have a stack's addresses.
func (s *symbols) tells(addresses []uint64) bool {
	if s.all == nil || s.loadedNow() != s.modules {
		return false
	}
	for _, a := range addresses[s.ownFrames(addresses):] {
		if _, known := s.names[a]; !known && !s.all.has(a) {
			return false
		}
	}
	return true
}

// ownFrames counts the leading frames that belong to BPF. To an earlier table those of this session's
// programs are nothing: they are behind the kernel and in no module.
func (s *symbols) ownFrames(addresses []uint64) int {
	if !s.earlier {
		return s.all.ownFrames(addresses)
	}
	n := slices.IndexFunc(addresses, func(a uint64) bool {
		return s.all.ownFrames([]uint64{a, 0}) == 0 && (s.all.has(a) || !s.all.behindKernel(a) || inModule(s.modules, a))
	})
	return max(n, 0)
}

// inModule says whether the address is in one of the modules that loadedModules told of.
func inModule(modules string, address uint64) bool {
	for line := range strings.Lines(modules) {
		var name string
		var size, start uint64
		if n, err := fmt.Sscanf(line, "%s %d 0x%x", &name, &size, &start); n != 3 || err != nil || address-start < size {
			return true // or who knows
		}
	}
	return false
}

func (s *symbols) loadedNow() string {
	if s.loaded != nil {
		return s.loaded()
	}
	return loadedModules()
}

// loadedModules are the modules with where they are. Not as the kernel lists them: how often
// each is in use changes all the time.
func loadedModules() string {
	text, err := os.ReadFile("/proc/modules")
	if err != nil {
		return "" // a kernel without modules
	}
	var modules strings.Builder
	for line := range strings.Lines(string(text)) {
		// Its name, size, users, those by name, state, and address.
		if words := strings.Fields(line); len(words) > 5 {
			fmt.Fprintln(&modules, words[0], words[1], words[5])
		}
	}
	return modules.String()
}

// A symbolTable has the functions of a kernel.
type symbolTable struct {
	symbols []symbol // by address; where several have one, in the kernel's order
	names   []byte   // one after another
}

type symbol struct {
	start  uint64
	name   uint32 // its place in names
	length uint16
	module uint16 // a number for each; 0: the kernel's own
}

// foreign is the module of what comes and goes without one: BPF programs, trampolines.
const foreign = 1

// readSymbols reads a table, whose modules' symbols are in no order.
func readSymbols(table io.Reader) (*symbolTable, error) {
	all := &symbolTable{}
	modules := map[string]uint16{"": 0, "[bpf]": foreign}
	hidden := true
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		line := lines.Bytes()
		start, kind, name, ok := parseSymbol(line)
		if !ok {
			return nil, fmt.Errorf("unexpected line %q in the symbol table", line)
		}
		hidden = hidden && start == 0
		if kind != 't' && kind != 'T' && kind != 'w' && kind != 'W' {
			continue
		}
		_, in, _ := bytes.Cut(line, []byte{'\t'})
		module, known := modules[string(in)]
		if !known {
			module = uint16(len(modules))
			if bytes.HasPrefix(in, []byte("[__builtin__")) {
				module = foreign
			}
			modules[string(in)] = module
		}
		name = name[:min(len(name), math.MaxUint16)]
		all.symbols = append(all.symbols, symbol{start, uint32(len(all.names)), uint16(len(name)), module})
		all.names = append(all.names, name...)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if hidden {
		return nil, errHidden
	}
	slices.SortStableFunc(all.symbols, func(a, b symbol) int { return cmp.Compare(a.start, b.start) })
	return all, nil
}

// below is the number of the nearest symbol at or below an address, -1 if there is none.
func (s *symbolTable) below(address uint64) int {
	i, _ := slices.BinarySearchFunc(s.symbols, address, func(e symbol, a uint64) int {
		if e.start <= a {
			return -1
		}
		return 1
	})
	return i - 1
}

// trampolineSize is what the trampoline of a few programs has at the least (bytes, x86). What is
// found so near to where one begins is of it, for as long as a session keeps it.
const trampolineSize = 256

// has tells whether the address is certain to be of the nearest symbol below, for as long as the
// modules are the same: the next symbol is of the same module.
func (s *symbolTable) has(address uint64) bool {
	i := s.below(address)
	if i < 0 {
		return false
	}
	if s.symbols[i].module == foreign {
		return strings.HasPrefix(string(s.nameOf(i)), "bpf_trampoline_") && address-s.symbols[i].start < trampolineSize
	}
	return i+1 < len(s.symbols) && s.symbols[i].module == s.symbols[i+1].module
}

// ownFrames counts the leading frames that belong to BPF. They are of the program that took the
// stack, which the session has loaded before it reads the table, and keeps.
func (s *symbolTable) ownFrames(addresses []uint64) int {
	n := slices.IndexFunc(addresses, func(a uint64) bool {
		i := s.below(a)
		return i < 0 || !bytes.HasPrefix(bytes.TrimLeft(s.nameOf(i), "_"), []byte("bpf_"))
	})
	return max(n, 0)
}

// largestFunction is more bytes than any function of the kernel has.
const largestFunction = 1 << 20

// behindKernel says whether the address is behind the kernel's own functions, where modules are, and
// programs of BPF.
func (s *symbolTable) behindKernel(address uint64) bool {
	i := s.below(address)
	return i >= 0 && (s.symbols[i].module != 0 || i+1 < len(s.symbols) && s.symbols[i+1].module != 0 && address-s.symbols[i].start > largestFunction)
}

// name is "symbol+0xoffset" after the nearest symbol below, or "0xaddress" if there is none.
func (s *symbolTable) name(address uint64) string {
	i := s.below(address)
	if i < 0 {
		return fmt.Sprintf("%#x", address)
	}
	return fmt.Sprintf("%s+%#x", s.nameOf(i), address-s.symbols[i].start)
}

func (s *symbolTable) nameOf(i int) []byte {
	found := s.symbols[i]
	return s.names[found.name : found.name+uint32(found.length)]
}

// parseSymbol splits "ffffffff81000000 T name" or the same with "\t[module]". It
// is called for every symbol of a kernel, so it makes nothing.
func parseSymbol(line []byte) (start uint64, kind byte, name []byte, ok bool) {
	digits := bytes.IndexByte(line, ' ')
	if digits < 1 || digits > 16 || len(line) < digits+4 || line[digits+2] != ' ' {
		return 0, 0, nil, false
	}
	for _, c := range line[:digits] {
		switch {
		case '0' <= c && c <= '9':
			start = start<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			start = start<<4 | uint64(c-'a'+10)
		default:
			return 0, 0, nil, false
		}
	}
	name = line[digits+3:]
	if module := bytes.IndexByte(name, '\t'); module >= 0 {
		name = name[:module]
	}
	return start, line[digits+1], name, len(name) > 0
}

// functionsOf are the functions of a module that is loaded, by name. The kernel tells these to anybody.
func functionsOf(module string) (map[string]bool, error) {
	table, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer table.Close()
	found := map[string]bool{}
	of := []byte("\t[" + module + "]")
	for lines := bufio.NewScanner(table); ; {
		if !lines.Scan() {
			return found, lines.Err()
		}
		if !bytes.HasSuffix(lines.Bytes(), of) {
			continue
		}
		if _, _, name, ok := parseSymbol(lines.Bytes()); ok {
			found[string(name)] = true
		}
	}
}
