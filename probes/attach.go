package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
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
	reasonNoPrivilege = "not permitted (CAP_PERFMON, or kernel lockdown)"
)

// An attacher loads programs one by one, as they are needed: a program for
// another kernel's functions would not load here.
type attacher struct {
	spec  *ebpf.CollectionSpec
	maps  map[string]*ebpf.Map
	types *btf.Spec
	cache *btf.Cache
	links []link.Link
}

// close detaches everything, newest first.
func (a *attacher) close() error {
	var errs []error
	for i := len(a.links) - 1; i >= 0; i-- {
		errs = append(errs, a.links[i].Close())
	}
	a.links = nil
	return errors.Join(errs...)
}

// attach puts the hook on the first of its sites that takes it.
func (a *attacher) attach(h hook) Attachment {
	result := Attachment{Purpose: h.purpose, Required: h.required}
	for _, s := range h.sites {
		if s.takes != "" {
			var taken *btf.Struct
			if err := a.types.TypeByName(s.takes, &taken); err != nil {
				result.Denied = append(result.Denied, Denial{Symbol: s.symbol, Reason: "the kernel has no struct " + s.takes})
				continue
			}
		}
		for _, method := range []Method{Fentry, KprobeMulti, Kprobe} {
			err := a.attachSite(s, method)
			if err == nil {
				result.Symbol, result.Method = s.symbol, method
				return result
			}
			result.Denied = append(result.Denied, Denial{s.symbol, method, reason(method, err)})
		}
	}
	result.Without = h.without
	return result
}

// attachSite puts both programs of a site in place, or none.
func (a *attacher) attachSite(s site, method Method) error {
	at := len(a.links)
	var err error
	switch method {
	case Fentry:
		err = a.fentry(s)
	case KprobeMulti:
		err = a.kprobeMulti(s)
	case Kprobe:
		err = a.kprobe(s)
	}
	if err != nil {
		for _, l := range a.links[at:] {
			err = errors.Join(err, l.Close())
		}
		a.links = a.links[:at]
	}
	return err
}

func (a *attacher) fentry(s site) error {
	for _, name := range []string{s.fexit, s.fentry} {
		if name == "" {
			continue
		}
		prog, err := a.load(name, func(spec *ebpf.ProgramSpec) { spec.AttachTo = s.symbol })
		if err != nil {
			return err
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: prog})
		if err := a.keep(prog, l, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *attacher) kprobeMulti(s site) error {
	if err := features.HaveBPFLinkKprobeMulti(); err != nil {
		return err
	}
	opts := link.KprobeMultiOptions{Symbols: []string{s.symbol}}
	multi := func(spec *ebpf.ProgramSpec) { spec.AttachType = ebpf.AttachTraceKprobeMulti }
	if s.kretprobe != "" {
		prog, err := a.load(s.kretprobe, multi)
		if err != nil {
			return err
		}
		l, err := link.KretprobeMulti(prog, opts)
		if err := a.keep(prog, l, err); err != nil {
			return err
		}
	}
	prog, err := a.load(s.kprobe, multi)
	if err != nil {
		return err
	}
	l, err := link.KprobeMulti(prog, opts)
	return a.keep(prog, l, err)
}

func (a *attacher) kprobe(s site) error {
	if _, err := os.Stat(kprobePMU); err != nil {
		return errNoKprobes
	}
	// The entry comes first: for a function that is not there, old kernels
	// give the wrong error at the return.
	prog, err := a.load(s.kprobe, nil)
	if err != nil {
		return err
	}
	l, err := link.Kprobe(s.symbol, prog, nil)
	if err := a.keep(prog, l, err); err != nil || s.kretprobe == "" {
		return err
	}
	if prog, err = a.load(s.kretprobe, nil); err != nil {
		return err
	}
	l, err = link.Kretprobe(s.symbol, prog, &link.KprobeOptions{RetprobeMaxActive: maxActive, TraceFSPrefix: "umemstress"})
	return a.keep(prog, l, err)
}

// abandoned attaches the program that cleans up behind tasks that die.
func (a *attacher) abandoned() Attachment {
	result := Attachment{Purpose: abandonedPurpose}
	prog, err := a.load(abandonedProgram, nil)
	if err == nil {
		var l link.Link
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: abandonedTracepoint, Program: prog})
		err = a.keep(prog, l, err)
	}
	if err != nil {
		result.Without = abandonedWithout
		result.Denied = []Denial{{abandonedTracepoint, RawTracepoint, reason(RawTracepoint, err)}}
		return result
	}
	result.Symbol, result.Method = abandonedTracepoint, RawTracepoint
	return result
}

// keep takes a link over and lets go of the program, which the link holds.
func (a *attacher) keep(prog *ebpf.Program, l link.Link, err error) error {
	if err == nil {
		a.links = append(a.links, l)
	}
	return errors.Join(err, prog.Close())
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
	one := &ebpf.CollectionSpec{
		Maps:      a.spec.Maps,
		Programs:  map[string]*ebpf.ProgramSpec{name: prog},
		Types:     a.spec.Types,
		ByteOrder: a.spec.ByteOrder,
	}
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{
		Programs:        ebpf.ProgramOptions{KernelTypes: a.types},
		MapReplacements: a.maps,
		Cache:           a.cache,
	})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(name), nil
}

// kprobePMU is there if the kernel has kprobes for perf, and so for BPF.
const kprobePMU = "/sys/bus/event_source/devices/kprobe/type"

var (
	errNoKprobes = errors.New(reasonNoKprobes)
	errNoProgram = errors.New("no program for it")
)

// reason puts an error in a reader's words.
func reason(method Method, err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && os.Geteuid() != 0:
		return reasonNoPrivilege
	case method == KprobeMulti && errors.Is(err, ebpf.ErrNotSupported):
		return reasonNoMulti
	case method == Fentry && errors.Is(err, ebpf.ErrNotSupported):
		return reasonNoTypes
	case errors.Is(err, fs.ErrNotExist):
		return reasonNoFunction
	}
	return err.Error()
}
