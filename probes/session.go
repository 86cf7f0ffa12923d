package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"umemstress/probes/event"
	"umemstress/probes/memlock"
	"umemstress/probes/naming"
)

// Options for Attach. The zero value is the usual.
type Options struct {
	// Holders are those whose releases are watched, by event's names for them; none is
	// event.HolderUmem. Each costs the hooks of its own.
	Holders []string
	// Kinds are what is told of beside event.Dirtied. What the kernel has no place for is
	// left out, as Attachments tells.
	Kinds []event.Kind
	// AnyRelease is content with the release of one of the holders.
	AnyRelease bool
	// Events is the size in bytes of the ring that holds events until they
	// are read: a power of two, at least a page. 0 is 256 KiB, some 2,700
	// events, which take no more than as many regions to be released at once.
	// Direct reads make an event for every MiB or so.
	Events int
	// NoStacks leaves the kernel stacks out of the events.
	NoStacks bool
	// BTF is a file with the kernel's types, raw or in an ELF file such as a vmlinux with debug
	// information, for a kernel that has none itself. One that has its own uses these. The way
	// of fentry takes a kernel that has its own.
	BTF string
	// Acts has the kernel sum up who did what to the pages of which file, for
	// Session.Acts, and tell of stripped and dropped pages only where something begins:
	// reclaim and writeback come to them one by one, faster than anybody reads.
	Acts bool
	// Later is content with holders that this machine cannot come to now, as their modules are not loaded. The
	// kernel attaches their hooks when it loads them, by kprobes: see package deferred. AttachLate tells that it has.
	Later bool
	// Await passes over everything until the first call of SetFilter.
	Await bool
	// Janitor starts a shell that runs the script when this process ends, however it
	// ends, or when it is closed. It is asked for one where the kernel keeps a probe of
	// a process that was killed. nil: the next session takes such a probe away.
	Janitor func(script string, args ...string) (io.Closer, error)
}

// A Session is a set of attached probes. Its methods may be called by several
// goroutines at once.
type Session struct {
	opts      Options
	table     table
	spec      *ebpf.CollectionSpec
	attaching sync.Mutex   // held by AttachLate and Close
	watching  sync.RWMutex // held to look at watches, and to change them
	watches   []watch      // first the one for tasks that die
	undo      *undo
	measuring io.Closer // nil: nothing is measured
	coll      *ebpf.Collection
	reader    *ringbuf.Reader
	symbols   symbols

	reading sync.Mutex // held by Events
	closed  chan struct{}
	filter  filter
	taking  sync.Mutex // held by TakeCounts
	mu      sync.Mutex
	waiting []chan struct{} // Drain calls that the reader has not seen
	ready   []chan struct{} // Drain calls that the reader answers at its next flush
}

// Attach loads the programs and puts them on the kernel's functions. It fails
// if a hook that is not optional cannot be attached, since a session that sees nothing
// would be taken for a kernel that does nothing. Errors that are due to the
// host are a *LacksError.
func Attach(opts Options) (*Session, error) { return attachBy(stock(), opts) }

func attachBy(t table, opts Options) (*Session, error) {
	if n := opts.Events; n != 0 && (n < os.Getpagesize() || n&(n-1) != 0) {
		return nil, optionError(fmt.Sprintf("an event ring of %d bytes: it must be a power of two and at least a page", n))
	}
	if len(opts.Holders) == 0 {
		opts.Holders = []string{event.HolderUmem}
	}
	for _, holder := range opts.Holders {
		if !knownHolder(holder) {
			return nil, optionError(fmt.Sprintf("no holder is called %q: it is one of %s", holder, strings.Join(Holders(), ", ")))
		}
	}
	cache := btf.NewCache()
	types := sync.OnceValues(func() (*btf.Spec, error) { return kernelTypes(cache, opts.BTF) })
	go types() // meanwhile, what needs no types goes ahead
	if opts.BTF != "" {
		if _, err := types(); errors.As(err, new(optionError)) {
			return nil, err
		}
	}
	removeLeftovers()
	spec, err := loadDirty()
	if err != nil {
		return nil, fmt.Errorf("probes: %w", err)
	}
	if err := configure(spec, opts, cache); err != nil {
		return nil, err
	}
	maps := *spec
	maps.Programs = nil
	var coll *ebpf.Collection
	restore, err := memlock.Lift(func() (err error) {
		coll, err = ebpf.NewCollection(&maps)
		return err
	})
	defer restore()
	if err != nil {
		return nil, lacks("create BPF maps", err)
	}
	s := &Session{
		opts: opts, table: t, spec: spec, coll: coll,
		undo: &undo{group: eventGroup(), start: opts.Janitor}, closed: make(chan struct{}),
	}
	hooks := t.hooksFor(opts.Holders, opts.Kinds)
	if opts.Later {
		hooks = expected(hooks)
	}
	s.attach(s.attacher(cache, types), present(hooks))
	s.symbols.inherit()
	if !opts.NoStacks {
		s.symbols.namer, _ = naming.Open(cache, stackDepth) // or the table does
	}
	err = s.complete(types, os.DirFS("/sys"), opts.AnyRelease)
	if err == nil {
		s.reader, err = ringbuf.NewReader(coll.Maps[dirtyMapEvents])
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func configure(spec *ebpf.CollectionSpec, opts Options, cache *btf.Cache) error {
	if opts.Events != 0 {
		spec.Maps[dirtyMapEvents].MaxEntries = uint32(opts.Events)
	}
	values := map[string]uint32{}
	// A map that is not used has one entry: the kernel has no empty ones.
	if opts.NoStacks {
		values[dirtyVarWantStacks] = 0
	}
	if opts.Acts {
		values[dirtyVarWantActs] = 1
	} else {
		spec.Maps[dirtyMapActs].MaxEntries = 1
	}
	if opts.Await {
		values[dirtyVarFilter] = byProcess // of generation 0, which lists nobody
	}
	if wantsRegions(opts.Holders, opts.Kinds) {
		values[dirtyVarWantRegions] = 1
		setUmemOffsets(values, cache)
	} else {
		spec.Maps[dirtyMapPins].MaxEntries = 1
	}
	if !slices.Contains(opts.Kinds, event.Pinned) && !wantsRegions(opts.Holders, opts.Kinds) {
		spec.Maps[dirtyMapPinning].MaxEntries = 1
	}
	for name, value := range values {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("probes: set %s: %w", name, err)
		}
	}
	return nil
}

// attacher attaches hooks of the session. What it reads of types is not kept with it.
func (s *Session) attacher(cache *btf.Cache, types func() (*btf.Spec, error)) *attacher {
	sysfs := os.DirFS("/sys")
	return &attacher{
		spec: s.spec, maps: s.coll.Maps, cache: cache, types: types, sysfs: sysfs,
		order: s.table.methods(preemption{sysfs, kernelBuild()}, types),
		undo:  s.undo,
		umem:  slices.Contains(s.opts.Holders, event.HolderUmem),
	}
}

// complete tells what is missing of what a session cannot do without.
func (s *Session) complete(types func() (*btf.Spec, error), sysfs fs.FS, anyRelease bool) error {
	if _, err := types(); err != nil {
		return &LacksError{What: "the kernel has no type information (BTF)", Remedy: remedyBTF, Err: err}
	}
	var absent *watch
	released := false
	for i := range s.watches {
		w := &s.watches[i]
		switch {
		case !w.attachment.Required:
		case anyRelease && w.hook.purpose != dirtiedPurpose:
			w.attachment.Required = false
			released = released || w.attachment.Attached()
			if absent == nil && !w.attachment.Attached() {
				absent = w
			}
		case !w.attachment.Attached():
			return missing(w.hook, w.attachment, s.Attachments(), sysfs)
		}
	}
	if anyRelease && !released && absent != nil {
		return missing(absent.hook, absent.attachment, s.Attachments(), sysfs)
	}
	return nil
}

// Attachments tells how each hook was attached.
func (s *Session) Attachments() []Attachment {
	s.watching.RLock()
	defer s.watching.RUnlock()
	list := make([]Attachment, len(s.watches))
	for i, w := range s.watches {
		list[i] = w.attachment
	}
	return list
}

// Events calls handle for each event in the order of arrival, until ctx is done
// or the session closed, and returns nil then. Events that had arrived before
// ctx was done are still handled. There is one reader at a time; a second one
// waits for its turn.
func (s *Session) Events(ctx context.Context, handle func(event.Event)) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	flushed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(flushed)
		s.reader.Flush()
	})
	defer func() {
		if !stop() {
			<-flushed // so that the flush cannot end the next reader
		}
	}()
	var record ringbuf.Record
	for {
		err := s.reader.ReadInto(&record)
		switch {
		case errors.Is(err, ringbuf.ErrFlushed):
			s.answer()
			if ctx.Err() != nil {
				return nil
			}
			continue
		case errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("probes: read events: %w", err)
		}
		e, err := event.Decode(record.RawSample)
		if err != nil {
			return fmt.Errorf("probes: %w", err)
		}
		handle(e)
	}
}

// Drain waits until every event that had been sent before it was called has
// been handled. It needs a running Events.
func (s *Session) Drain(ctx context.Context) error {
	done := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, done)
	s.mu.Unlock()
	if err := s.reader.Flush(); err != nil {
		return fmt.Errorf("probes: drain: %w", err)
	}
	select {
	case <-done:
		return nil
	case <-s.closed:
		return fmt.Errorf("probes: drain: %w", os.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("probes: drain: %w", ctx.Err())
	}
}

// answer is called between two readings of the whole ring. What was waiting
// before the last reading is answered. What came during it, perhaps behind the
// position that it had reached, gets a reading of its own.
func (s *Session) answer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, done := range s.ready {
		close(done)
	}
	s.ready, s.waiting = s.waiting, nil
	if len(s.ready) > 0 {
		s.reader.Flush()
	}
}

// ReadSymbols sees to it that Symbolise need not read /proc/kallsyms, which takes its time: it reads that now, where the
// kernel does not name addresses itself.
func (s *Session) ReadSymbols() error {
	if err := s.symbols.read(); err != nil {
		return fmt.Errorf("probes: name the functions of a stack: %w", err)
	}
	return nil
}

// SymbolsRefused is why the kernel does not name addresses itself, so that it takes CAP_SYSLOG to do so; nil: it does.
func (s *Session) SymbolsRefused() error {
	if s.symbols.namer == nil {
		return errNoNamer
	}
	_, err := s.symbols.namer.Names([]uint64{0})
	return err
}

// Symbolise fills in the event's kernel stack. Where the kernel does not name it, the first call reads
// /proc/kallsyms, unless ReadSymbols has.
func (s *Session) Symbolise(e *event.Event) error {
	if e.StackID < 0 {
		return nil
	}
	var addresses [stackDepth]uint64
	err := undisturbed(func() error {
		return s.coll.Maps[dirtyMapStacks].Lookup(uint32(e.StackID), &addresses)
	})
	if err != nil {
		return fmt.Errorf("probes: read stack %d: %w", e.StackID, err)
	}
	stack, err := s.symbols.stack(addresses[:])
	if err != nil {
		return fmt.Errorf("probes: name the functions of a stack: %w", err)
	}
	e.Stack = stack
	return nil
}

// Close detaches the probes and ends Events. It may be called again.
func (s *Session) Close() error {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	s.watching.Lock()
	defer s.watching.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil
	default:
		close(s.closed)
	}
	errs := make([]error, len(s.watches))
	var wg sync.WaitGroup
	for i, w := range s.watches { // at once, as each waits for the kernel
		wg.Go(func() { errs[i] = w.close() })
	}
	wg.Wait()
	errs = append(errs, s.undo.close(), s.stopMeasuring(), s.symbols.close())
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	s.coll.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("probes: close: %w", err)
	}
	return nil
}
