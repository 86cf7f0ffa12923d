package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"umemstress/probes/lockdown"
)

// maxActive is how many tasks may be in a release at once before a kretprobe
// misses returns. The kernel's own default is the number of CPUs, and a release
// sleeps. It is the size of the map `releases`, too.
const maxActive = 1024

// Reasons for a denial that are not the kernel's words.
const (
	reasonNoFunction  = "no such function in the running kernel"
	reasonNoTypes     = "no type information (BTF) for the function"
	reasonNoMulti     = "the kernel has no kprobe-multi (Linux 5.18 with CONFIG_FPROBE=y)"
	reasonNoKprobes   = "the kernel has no kprobes (CONFIG_KPROBES=y, CONFIG_KPROBE_EVENTS=y)"
	reasonNoReturns   = "not used where a return is watched: room for few of them (up to Linux 6.13), or tracing of every task (since)"
	reasonParameters  = "the function has fewer parameters in this kernel, or the kernel does not say how many"
	reasonPerPage     = "not beside the release of RDMA regions, which calls it for each page in this kernel"
	reasonSkipped     = "not tried first: this kernel preempts tasks inside fentry programs, and skips the programs for others meanwhile"
	reasonNoPrivilege = "not permitted (it takes root, or CAP_BPF and CAP_PERFMON, and no kernel lockdown)"
	reasonLockdown    = "the kernel is locked down for confidentiality, and lets no probe read its memory, whoever asks"
	reasonParanoid    = "perf_event_open is not permitted (where kernel.perf_event_paranoid is above 2, as on Debian, it takes CAP_SYS_ADMIN)"
	reasonEvenRoot    = "not permitted, though this is root: kernel lockdown, a container that withholds it, or a kernel that has none"
)

// An attacher loads programs one by one, as they are needed: a program for
// another kernel's functions would not load here. Its methods may be called by
// several goroutines at once.
type attacher struct {
	spec  *ebpf.CollectionSpec
	maps  map[string]*ebpf.Map
	cache *btf.Cache
	// types is the kernel's BTF, which takes a good part of the time that all
	// attaching takes: only those who need it wait for it.
	types func() (*btf.Spec, error)
	sysfs fs.FS
	order []Method // in which functions are tried
	undo  *undo
	umem  bool // the session watches the release of umems
	// loading is held by who loads a program. cilium/ebpf guards the kernel's
	// BTF against concurrent use, but not against use by way of a module's
	// BTF, which builds on it.
	loading sync.Mutex
}

// attach puts the hook on the first of its sites that takes it.
func (a *attacher) attach(h hook) (Attachment, links) {
	result := Attachment{Purpose: h.purpose, Required: !h.optional}
	postponed := len(a.order) > 1 && a.order[0] != Fentry
	for _, s := range h.sites {
		if s.module == "" {
			s.module = h.module
		}
		if !a.haveStruct(s.takes) {
			result.Denied = append(result.Denied, Denial{Symbol: s.symbol, Reason: "the kernel has no struct " + s.takes})
			continue
		}
		if s.parameters > 0 && a.parameters(s.module, s.symbol) < s.parameters {
			result.Denied = append(result.Denied, Denial{Symbol: s.symbol, Reason: reasonParameters})
			continue
		}
		if a.umem && s.unless != "" && !a.haveFunction(s.unless) {
			result.Denied = append(result.Denied, Denial{Symbol: s.symbol, Reason: reasonPerPage})
			continue
		}
		if postponed && s.has(Fentry) && s.has(Kprobe) {
			result.Denied = append(result.Denied, Denial{s.symbol, Fentry, reasonSkipped})
		}
		for _, method := range a.order {
			if !s.has(method) {
				continue
			}
			attached, err := a.attachSite(s, method)
			if err == nil {
				result.Symbol, result.Method, result.Without = s.symbol, method, s.without
				return result, attached
			}
			result.Denied = append(result.Denied, Denial{s.symbol, method, reason(method, err)})
		}
	}
	result.Without = h.without
	return result, nil
}

// haveStruct tells whether the kernel has the struct. One that it has not can
// not be relocated, and finding that out by loading takes long.
func (a *attacher) haveStruct(name string) bool {
	if name == "" {
		return true
	}
	types, err := a.types()
	if err != nil {
		return true // the attempt tells what is wrong
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	var found *btf.Struct
	return types.TypeByName(name, &found) == nil
}

// haveFunction tells whether the kernel itself has the function.
func (a *attacher) haveFunction(name string) bool {
	types, err := a.types()
	if err != nil {
		return false // the side on which nothing becomes slow
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	var found *btf.Func
	return types.TypeByName(name, &found) == nil
}

// parameters tells how many a module's function has; 0: the module has no types, or is not there.
func (a *attacher) parameters(module, function string) int {
	a.loading.Lock()
	defer a.loading.Unlock()
	types, err := a.cache.Module(module)
	if err != nil {
		return 0
	}
	var found *btf.Func
	if types.TypeByName(function, &found) != nil {
		return 0
	}
	proto, ok := found.Type.(*btf.FuncProto)
	if !ok {
		return 0
	}
	return len(proto.Params)
}

// has tells whether the site has programs for a method.
func (s site) has(method Method) bool {
	if method == Fentry {
		return s.fentry != "" || s.fexit != ""
	}
	return s.kprobe != ""
}

// attachSite puts both programs of a site in place, or none.
func (a *attacher) attachSite(s site, method Method) (links, error) {
	var attached links
	var err error
	switch method {
	case Fentry:
		if a.moduleWithoutTypes(s.module) {
			return nil, errNoTypes
		}
		err = a.fentry(s, &attached)
	case KprobeMulti:
		err = a.kprobeMulti(s, &attached)
	case Kprobe:
		err = a.kprobe(s, &attached)
	}
	if err == nil && s.also != nil {
		var more links
		more, err = a.attachSite(*s.also, method)
		attached = append(attached, more...)
	}
	if err != nil {
		return nil, errors.Join(err, attached.close())
	}
	return attached, nil
}

// moduleWithoutTypes tells whether a loaded module came without BTF, as all do
// before 5.11. It saves the wait for the kernel's BTF.
func (a *attacher) moduleWithoutTypes(module string) bool {
	_, loaded := fs.Stat(a.sysfs, "module/"+module+"/initstate")
	_, types := fs.Stat(a.sysfs, "kernel/btf/"+module)
	return loaded == nil && errors.Is(types, fs.ErrNotExist)
}

func (a *attacher) fentry(s site, attached *links) error {
	for _, name := range []string{s.fexit, s.fentry} {
		if name == "" {
			continue
		}
		prog, err := a.load(name, func(spec *ebpf.ProgramSpec) { spec.AttachTo = s.symbol })
		if err != nil {
			return err
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: prog})
		if err := attached.keep(prog, l, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *attacher) kprobeMulti(s site, attached *links) error {
	if err := features.HaveBPFLinkKprobeMulti(); err != nil {
		return err
	}
	// A return costs more than it is worth this way. Up to 6.13 one that finds
	// no room is not seen (fprobe_init_rethook, kernel/trace/fprobe.c: two for
	// each CPU). Since 6.14 the function graph tracer waits for it
	// (4346ba160409), which gives every task of the machine a shadow stack and
	// hooks each switch of tasks. Releases are few; a kretprobe serves.
	if s.kretprobe != "" {
		return errNoReturns
	}
	opts := link.KprobeMultiOptions{Symbols: []string{s.symbol}}
	multi := func(spec *ebpf.ProgramSpec) { spec.AttachType = ebpf.AttachTraceKprobeMulti }
	prog, err := a.load(s.kprobe, multi)
	if err != nil {
		return err
	}
	l, err := link.KprobeMulti(prog, opts)
	return attached.keep(prog, l, err)
}

func (a *attacher) kprobe(s site, attached *links) error {
	if _, err := os.Stat(kprobePMU); err != nil {
		return errNoKprobes
	}
	// The return comes first, so that the program at the entry runs before the kernel has put
	// its own address in the place of the caller's: up to 5.14 a stack ends there. For a
	// function that is not there, old kernels give the wrong error at the return.
	var returns error
	if s.kretprobe != "" {
		returns = a.kretprobe(s, attached)
	}
	prog, err := a.load(s.kprobe, nil)
	if err != nil {
		return err
	}
	l, err := link.Kprobe(s.symbol, prog, nil)
	if err := attached.keep(prog, l, err); err != nil {
		return err
	}
	return returns
}

func (a *attacher) kretprobe(s site, attached *links) error {
	prog, err := a.load(s.kretprobe, nil)
	if err != nil {
		return err
	}
	if err := a.undo.ready(); err != nil {
		return errors.Join(err, prog.Close())
	}
	l, err := link.Kretprobe(s.symbol, prog, &link.KprobeOptions{RetprobeMaxActive: maxActive, TraceFSPrefix: a.undo.group})
	return attached.keep(prog, l, err)
}

// abandoned attaches the program that cleans up behind tasks that die.
func (a *attacher) abandoned() (Attachment, links) {
	result := Attachment{Purpose: abandonedPurpose}
	var attached links
	prog, err := a.load(abandonedProgram, nil)
	if err == nil {
		var l link.Link
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: abandonedTracepoint, Program: prog})
		err = attached.keep(prog, l, err)
	}
	if err != nil {
		result.Without = abandonedWithout
		result.Denied = []Denial{{abandonedTracepoint, RawTracepoint, reason(RawTracepoint, err)}}
		return result, nil
	}
	result.Symbol, result.Method = abandonedTracepoint, RawTracepoint
	return result, attached
}

// load loads a single program over the session's maps.
func (a *attacher) load(name string, adapt func(*ebpf.ProgramSpec)) (*ebpf.Program, error) {
	prog := a.spec.Programs[name]
	if prog == nil {
		return nil, fmt.Errorf("%s: %w", name, errNoProgram)
	}
	prog = prog.Copy()
	if adapt != nil {
		adapt(prog)
	}
	var opts ebpf.CollectionOptions
	if relocated(prog) {
		types, err := a.types()
		if err != nil {
			return nil, err
		}
		// Without this the BTF of every loaded module would be read, too.
		opts.Programs.KernelTypes = types
	}
	opts.MapReplacements = a.maps
	opts.Cache = a.cache
	one := &ebpf.CollectionSpec{
		Maps:      a.spec.Maps,
		Programs:  map[string]*ebpf.ProgramSpec{name: prog},
		Types:     a.spec.Types,
		ByteOrder: a.spec.ByteOrder,
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	coll, err := ebpf.NewCollectionWithOptions(one, opts)
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(name), nil
}

// kernelBTF is where a kernel has its types, if it was built with them.
const kernelBTF = "/sys/kernel/btf/vmlinux"

// kernelTypes are the kernel's own or, where it has none, those of a file.
func kernelTypes(cache *btf.Cache, file string) (*btf.Spec, error) {
	if _, err := os.Stat(kernelBTF); file == "" || err == nil {
		return cache.Kernel()
	}
	types, err := btf.LoadSpec(file)
	if err != nil {
		return nil, optionError(fmt.Sprintf("there are no types (BTF) to be read in %s: %v", file, err))
	}
	for _, name := range []string{"page", "inode", "address_space"} {
		var found *btf.Struct
		if types.TypeByName(name, &found) != nil {
			return nil, optionError(fmt.Sprintf("the types (BTF) in %s are not a kernel's: they have no struct %s", file, name))
		}
	}
	return types, nil
}

// relocated tells whether the program reads kernel structs.
func relocated(prog *ebpf.ProgramSpec) bool {
	return slices.ContainsFunc(prog.Instructions, func(ins asm.Instruction) bool {
		return btf.CORERelocationMetadata(&ins) != nil
	})
}

// kprobePMU is there if the kernel has kprobes for perf, and so for BPF.
const kprobePMU = "/sys/bus/event_source/devices/kprobe/type"

var (
	errNoTypes   = errors.New(reasonNoTypes)
	errNoKprobes = errors.New(reasonNoKprobes)
	errNoReturns = errors.New(reasonNoReturns)
	errNoProgram = errors.New("no program for it")
)

// reason puts an error in a reader's words.
func reason(method Method, err error) string {
	return reasonFor(os.Geteuid(), lockdown.Confidential(os.DirFS("/sys")), method, err)
}

func reasonFor(uid int, locked bool, method Method, err error) string {
	switch {
	case locked && (errors.Is(err, unix.EPERM) || errors.As(err, new(*ebpf.VerifierError))):
		return reasonLockdown
	case errors.Is(err, unix.EPERM) && uid == 0:
		return reasonEvenRoot
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && uid != 0:
		return reasonNoPrivilege
	case method == Kprobe && errors.Is(err, unix.EACCES) && !errors.As(err, new(*ebpf.VerifierError)):
		return reasonParanoid // of perf_event_open; 2 is the most that mainline knows
	case method == KprobeMulti && errors.Is(err, ebpf.ErrNotSupported):
		return reasonNoMulti
	case method == Fentry && errors.Is(err, ebpf.ErrNotSupported):
		return reasonNoTypes
	case method != Fentry && method != KprobeMulti && method != Kprobe:
		return err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return reasonNoFunction
	}
	return err.Error()
}
