package probes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// stackDepth is how many frames the map `stacks` keeps of a stack.
const stackDepth = 32

// errHidden: the kernel shows all addresses as 0 to those who may not know them.
var errHidden = errors.New("/proc/kallsyms hides its addresses (kernel.kptr_restrict, or CAP_SYSLOG missing)")

// symbols names kernel addresses. It reads the kernel's symbol table for the
// addresses that it has not seen yet, and keeps only their names.
type symbols struct {
	mu    sync.Mutex
	open  func() (io.ReadCloser, error) // nil: /proc/kallsyms
	names map[uint64]string
}

// stack names a stack's addresses, which end at the first 0. The frames of the
// BPF program that took the stack are left out.
func (s *symbols) stack(addresses []uint64) ([]string, error) {
	if end := slices.Index(addresses, 0); end >= 0 {
		addresses = addresses[:end]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.learn(addresses); err != nil {
		return nil, err
	}
	stack := make([]string, len(addresses))
	for i, a := range addresses {
		stack[i] = s.names[a]
	}
	return stack[ownFrames(stack):], nil
}

// ownFrames counts the leading frames that belong to BPF. Attached to fentry, a
// program's stack begins with itself; as a kprobe, with the function probed.
func ownFrames(stack []string) int {
	n := slices.IndexFunc(stack, func(frame string) bool {
		return !strings.HasPrefix(frame, "bpf_") && !strings.HasPrefix(frame, "__bpf_")
	})
	return max(n, 0)
}

// learn names those of the addresses that have no name yet.
func (s *symbols) learn(addresses []uint64) error {
	var wanted []uint64
	for _, a := range addresses {
		if _, ok := s.names[a]; !ok {
			wanted = append(wanted, a)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	open := s.open
	if open == nil {
		open = func() (io.ReadCloser, error) { return os.Open("/proc/kallsyms") }
	}
	table, err := open()
	if err != nil {
		return err
	}
	defer table.Close()
	names, err := resolve(table, wanted)
	if err != nil {
		return err
	}
	if s.names == nil {
		s.names = make(map[uint64]string)
	}
	for a, name := range names {
		s.names[a] = name
	}
	return nil
}

// resolve names addresses as "symbol+0xoffset" after the nearest symbol below,
// or as "0xaddress" if there is none. The table is read once and not kept; its
// modules' symbols are in no order.
func resolve(table io.Reader, addresses []uint64) (map[uint64]string, error) {
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	type symbol struct {
		start uint64
		name  []byte
	}
	nearest := make([]symbol, len(addresses))
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
		// A symbol matters to the first address at or above it; those further
		// up inherit it below, unless they have a nearer one.
		i, _ := slices.BinarySearch(addresses, start)
		if i < len(addresses) && start >= nearest[i].start {
			nearest[i] = symbol{start, append(nearest[i].name[:0], name...)}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if hidden {
		return nil, errHidden
	}
	names := make(map[uint64]string, len(addresses))
	for i, a := range addresses {
		if i > 0 && len(nearest[i].name) == 0 {
			nearest[i] = nearest[i-1]
		}
		if len(nearest[i].name) == 0 {
			names[a] = fmt.Sprintf("%#x", a)
			continue
		}
		names[a] = fmt.Sprintf("%s+%#x", nearest[i].name, a-nearest[i].start)
	}
	return names, nil
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
