package probes

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"umemstress/probes/event"
)

// restTime is how long a program that began in an epoch may still count in it: programs run
// for microseconds, and are preempted at most.
const restTime = 20 * time.Millisecond

// Counts returns what was counted since the session began, or since TakeCounts was called
// last, by file, holder and owner. A run is counted when it
// ends, at the latest when its release returns.
func (s *Session) Counts() ([]event.Count, error) {
	counts, _, err := s.readCounts(func(dirtyCountKey) bool { return true })
	return counts, err
}

// TakeCounts returns the counts and has the table begin anew, so that it has room for other
// files. Nothing is counted twice or lost: what is counted meanwhile goes to the next epoch.
func (s *Session) TakeCounts() ([]event.Count, error) {
	s.taking.Lock()
	defer s.taking.Unlock()
	var past uint32
	epoch := s.coll.Variables[dirtyVarEpoch]
	err := epoch.Get(&past)
	if err == nil {
		err = epoch.Set(past + 1)
	}
	if err != nil {
		return nil, fmt.Errorf("probes: take counts: %w", err)
	}
	time.Sleep(restTime)
	counts, keys, err := s.readCounts(func(k dirtyCountKey) bool { return k.Epoch == past })
	if err != nil {
		return nil, err
	}
	err = undisturbed(func() error {
		for _, key := range keys {
			if err := s.coll.Maps[dirtyMapCounts].Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("probes: take counts: %w", err)
	}
	return counts, nil
}

func (s *Session) readCounts(wanted func(dirtyCountKey) bool) (counts []event.Count, keys []dirtyCountKey, err error) {
	var key dirtyCountKey
	var count dirtyCount
	err = undisturbed(func() error {
		entries := s.coll.Maps[dirtyMapCounts].Iterate()
		for entries.Next(&key, &count) {
			if !wanted(key) {
				continue
			}
			keys = append(keys, key)
			c := countOf(count.Tally)
			c.Inode = event.Inode{Device: key.File.Device, Number: key.File.Inode}
			c.Filesystem, c.Holder, c.PID = name(count.Filesystem[:]), holderNames[key.Holder], key.Process
			counts = append(counts, c)
		}
		return entries.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("probes: read counts: %w", err)
	}
	return counts, keys, nil
}

func countOf(t dirtyTally) event.Count {
	return event.Count{
		DirtiedPages: t.Dirtied, DirtiedFolios: t.DirtiedFolios,
		BufferlessPages: t.Bufferless, BufferlessFolios: t.BufferlessFolios,
		UnannouncedPages: t.Unannounced, DetachedPages: t.Detached,
		StrippedPages: t.Stripped, StrippedFolios: t.StrippedFolios, DroppedFolios: t.DroppedFolios,
	}
}

// Acts returns what was done to pages of files, by whom, since the session began; see
// Options.Acts.
func (s *Session) Acts() ([]event.Act, error) {
	var acts []event.Act
	var key dirtyActKey
	var act dirtyAct
	err := undisturbed(func() error {
		entries := s.coll.Maps[dirtyMapActs].Iterate()
		for entries.Next(&key, &act) {
			acts = append(acts, event.Act{
				Kind: actKinds[key.Kind], Inode: event.Inode{Device: key.File.Device, Number: key.File.Inode},
				Holder: holderNames[act.Holder], PID: key.Process, Comm: name(act.Comm[:]),
				Owner: event.Owner{PID: key.Owner, Comm: name(act.OwnerComm[:])},
				Pages: act.Pages, Folios: act.Folios,
			})
		}
		return entries.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("probes: read acts: %w", err)
	}
	return acts, nil
}

var actKinds = map[dirtyKind]event.Kind{
	dirtyKindKIND_DIRTIED: event.Dirtied, dirtyKindKIND_STRIPPED: event.Stripped, dirtyKindKIND_DROPPED: event.Dropped,
}

var holderNames = map[dirtyHolder]string{
	dirtyHolderHOLDER_UMEM: event.HolderUmem, dirtyHolderHOLDER_DIO: event.HolderDIO, dirtyHolderHOLDER_VMWRITEV: event.HolderVMWritev,
	dirtyHolderHOLDER_VMCI: event.HolderVMCI, dirtyHolderHOLDER_NFS: event.HolderNFS, dirtyHolderHOLDER_FUSE: event.HolderFUSE,
	dirtyHolderHOLDER_V4L2: event.HolderV4L2, dirtyHolderHOLDER_XDP: event.HolderXDP, dirtyHolderHOLDER_9P: event.Holder9P,
}

// Totals returns all that was counted since the session began. It reads the memory that the
// programs count in, and disturbs nobody.
func (s *Session) Totals() (event.Totals, error) {
	var tallies [dirtyHolderHOLDER_9P + 1]dirtyTally
	totals := event.Totals{Holders: map[string]event.Count{}}
	err := s.read(map[string]any{
		dirtyVarTotals:          &tallies,
		dirtyVarRegionsPinned:   &totals.Pinned,
		dirtyVarRegionsRefused:  &totals.Refused,
		dirtyVarRegionsReleased: &totals.Released,
	})
	for holder, tally := range tallies {
		totals.Holders[holderNames[dirtyHolder(holder)]] = countOf(tally)
	}
	return totals, err
}

// read reads variables of the programs.
func (s *Session) read(variables map[string]any) error {
	for name, value := range variables {
		if err := s.coll.Variables[name].Get(value); err != nil {
			return fmt.Errorf("probes: read %s: %w", name, err)
		}
	}
	return nil
}

// name reads a C string.
func name(chars []int8) string {
	var text []byte
	for _, c := range chars {
		if c == 0 {
			break
		}
		text = append(text, byte(c))
	}
	return string(text)
}

// Lost tells what could not be delivered or counted so far.
func (s *Session) Lost() (event.Lost, error) {
	var lost event.Lost
	err := s.read(map[string]any{
		dirtyVarLostEvents:   &lost.Events,
		dirtyVarLostPages:    &lost.Pages,
		dirtyVarLostReleases: &lost.Releases,
		dirtyVarLostStacks:   &lost.Stacks,
		dirtyVarLostPins:     &lost.Pins,
		dirtyVarLostStrips:   &lost.Strips,
		dirtyVarLostActs:     &lost.Acts,
	})
	if err != nil {
		return event.Lost{}, err
	}
	if err := s.addMisses(&lost); err != nil {
		return event.Lost{}, fmt.Errorf("probes: read misses: %w", err)
	}
	return lost, nil
}

// addMisses counts as lost what the programs were not run for.
func (s *Session) addMisses(lost *event.Lost) error {
	var active uint64
	if err := s.coll.Variables[dirtyVarActive].Get(&active); err != nil {
		return err
	}
	s.watching.RLock()
	defer s.watching.RUnlock()
	for _, w := range s.watches {
		missed, err := w.links.misses()
		if err != nil {
			return err
		}
		switch {
		case w.attachment.Purpose == abandonedPurpose:
			// Tasks die all the time. Only if a release is open can it be
			// one whose task died unseen.
			if active != 0 {
				lost.Releases += missed
			}
		case w.hook.loses != nil:
			*w.hook.loses(lost) += missed
		default:
			lost.Releases += missed
		}
	}
	return nil
}

// ReadRefused tries whether what was counted can be read, as a caller does that has given up
// CAP_BPF, and returns why not. Before Linux 5.19 (c8644cd0efe7) bpf(2) refuses everything to who
// has none, unless everybody may use it; and that may change, so it is no answer then.
func (s *Session) ReadRefused() error {
	disabled, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	if err == nil && strings.TrimSpace(string(disabled)) == "0" {
		err = errors.New("probes: bpf(2) is open to everybody, and need not stay so")
	}
	_, counts := s.Counts()
	_, lost := s.Lost()
	return errors.Join(err, counts, lost)
}

// ForgetStacks empties the kernel's table of stacks, which keeps each for good. An event whose
// stack was not named by then loses it.
func (s *Session) ForgetStacks() error {
	err := undisturbed(func() error {
		for id := range s.coll.Maps[dirtyMapStacks].MaxEntries() {
			if err := s.coll.Maps[dirtyMapStacks].Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("probes: forget stacks: %w", err)
	}
	return nil
}
