package probes

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"umemstress/probes/event"
)

// The bits of the variable filter: enum filter_by in bpf/filter.h.
const (
	byProcess = 1 << iota
	byCgroup
	byFile
	byDevice

	generationBits = 8 // below a generation
)

// A filter is what the lists in the kernel hold.
type filter struct {
	mu         sync.Mutex
	generation uint32
	listed     map[string][]any // by the lists' names
}

// SetFilter has the kernel side pass over what the filter does not want, before it is counted.
// It takes the place of the filter before it at one moment; the zero value wants all.
func (s *Session) SetFilter(f event.Filter) error {
	s.filter.mu.Lock()
	defer s.filter.mu.Unlock()
	lists := map[string][]any{}
	var by uint32
	add := func(bit uint32, list string, keys []any) {
		if len(keys) > 0 {
			by |= bit
			lists[list] = keys
		}
	}
	var files []any
	for _, file := range f.Files {
		files = append(files, dirtyFile{Inode: file.Number, Device: file.Device})
	}
	add(byProcess, dirtyMapOnlyProcess, keys(f.PIDs))
	add(byCgroup, dirtyMapOnlyCgroup, keys(f.Cgroups))
	add(byFile, dirtyMapOnlyFile, files)
	add(byDevice, dirtyMapOnlyDevice, keys(f.Devices))
	generation := s.filter.generation + 1
	for list, keys := range lists {
		if room := int(s.coll.Maps[list].MaxEntries()); len(keys) > room {
			return optionError(fmt.Sprintf("a filter of %d: %d is the most of one kind", len(keys), room))
		}
		for _, key := range keys {
			if err := s.coll.Maps[list].Put(key, generation); err != nil {
				return fmt.Errorf("probes: set the filter: %w", err)
			}
		}
	}
	if err := s.coll.Variables[dirtyVarFilter].Set(generation<<generationBits | by); err != nil {
		return fmt.Errorf("probes: set the filter: %w", err)
	}
	old := s.filter.listed
	s.filter.generation, s.filter.listed = generation, lists
	return s.forget(old, generation)
}

// forget removes what only filters before this generation had.
func (s *Session) forget(lists map[string][]any, generation uint32) error {
	for list, keys := range lists {
		for _, key := range keys {
			var of uint32
			err := s.coll.Maps[list].Lookup(key, &of)
			if err == nil && of != generation {
				err = s.coll.Maps[list].Delete(key)
			}
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("probes: set the filter: %w", err)
			}
		}
	}
	return nil
}

func keys[T any](values []T) []any {
	var list []any
	for _, v := range values {
		list = append(list, v)
	}
	return list
}
