package probes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"umemstress/probes/deferred"
	"umemstress/probes/event"
)

// Method is a way to put a program on a kernel function.
type Method string

// The methods, cheapest per call first. That is the order in which they are
// tried, unless the kernel preempts: then fentry, which misses calls, is the last.
// A raw tracepoint is its own kind of place and has no alternative.
const (
	Fentry        Method = "fentry"
	KprobeMulti   Method = "kprobe-multi"
	Kprobe        Method = "kprobe"
	RawTracepoint Method = "raw-tracepoint"
)

// An Attachment tells how one hook was attached, or why not.
type Attachment struct {
	Purpose  string   `json:"purpose"`
	Required bool     `json:"required"`
	Symbol   string   `json:"symbol,omitempty"` // empty: not attached
	Method   Method   `json:"method,omitempty"`
	Without  string   `json:"without,omitempty"` // what is not seen: nothing, if attached at the best place
	Denied   []Denial `json:"denied,omitempty"`  // what was tried before
	Awaits   string   `json:"awaits,omitempty"`  // a module that is not loaded: the kernel attaches the hook when it loads it
}

// Attached tells whether the hook is in place.
func (a Attachment) Attached() bool { return a.Symbol != "" }

// Unseen tells what the session does not see, by the kind of event that it would be, where a
// hook was attached nowhere or not at its best place.
func (s *Session) Unseen() map[event.Kind]string {
	unseen := map[event.Kind]string{}
	for _, w := range s.watches {
		if why := w.attachment.Without; why != "" && unseen[w.hook.kind] == "" {
			unseen[w.hook.kind] = why
		}
	}
	return unseen
}

// A Denial is an attempt that failed.
type Denial struct {
	Symbol string `json:"symbol"`
	Method Method `json:"method,omitempty"` // empty: none was worth trying
	Reason string `json:"reason"`
}

func (d Denial) String() string {
	if d.Method == "" {
		return fmt.Sprintf("%s: %s", d.Symbol, d.Reason)
	}
	return fmt.Sprintf("%s on %s: %s", d.Method, d.Symbol, d.Reason)
}

// The states of a module. One that is built in has none, and is there for good; one that is not
// there has "".
const (
	moduleLive    = "live"
	moduleBuiltIn = "built in"
)

// A module is one as it was found.
type module struct {
	state string // one of them, or another that a module passes through
	// instance is that of a loaded one, which differs when it has been unloaded and loaded again:
	// the inode of its directory in sysfs.
	instance uint64
}

func findModule(name string) module { return module{}.now(name) }

// now is what has become of the module. One that is live stays that until it is another one, so that it
// is looked into no more: who watches asks each second.
func (m module) now(name string) module {
	directory := filepath.Join("/sys/module", name)
	var stat unix.Stat_t
	if unix.Stat(directory, &stat) != nil {
		return module{}
	}
	if m.state == moduleLive && m.instance == stat.Ino {
		return m
	}
	state, err := os.ReadFile(filepath.Join(directory, "initstate"))
	if err != nil {
		return module{state: moduleBuiltIn}
	}
	return module{strings.TrimSpace(string(state)), stat.Ino}
}

// attach attaches the hooks, all at once: to look up a function takes the
// kernel long.
func (s *Session) attach(a *attacher, hooks []hook) {
	s.watches = make([]watch, 1+len(hooks))
	var wg sync.WaitGroup
	dead := &s.watches[0]
	wg.Go(func() { dead.attachment, dead.links = a.abandoned() })
	for i, h := range hooks {
		w := &s.watches[1+i]
		w.hook = h
		w.module = findModule(h.module)
		wg.Go(func() {
			if h.later {
				w.attachment, w.candidates = a.later(h)
			} else {
				w.attachment, w.links = a.attach(h)
			}
		})
	}
	wg.Wait()
	for i := range s.watches {
		if w := &s.watches[i]; w.candidates != nil && w.module.state == moduleLive {
			choose(w)
		}
	}
}

// Awaits lists the modules that hooks would be in which are not attached, and that were not
// loaded when it was tried.
func (s *Session) Awaits() (modules []string) {
	s.watching.RLock()
	defer s.watching.RUnlock()
	for _, w := range s.watches {
		if w.hook.module != "" && !w.hook.later && !w.attachment.Attached() && w.module.state != moduleLive && w.module.state != moduleBuiltIn && !slices.Contains(modules, w.hook.module) {
			modules = append(modules, w.hook.module)
		}
	}
	return modules
}

// AttachLate attaches the hooks in modules that were not loaded when it was tried, and are now,
// and takes away those in modules that are gone: the kernel lets go of a kprobe's module. Of those that the
// kernel attaches itself ([Options].Later), it finds out that it has. It says whether anything changed. What a session attached first, it does without: it is called again
// and again.
func (s *Session) AttachLate() (changed bool, err error) {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	select {
	case <-s.closed:
		return false, nil
	default:
	}
	var come []int
	var gone links
	for i, w := range s.watches { // which nobody else changes
		if w.hook.module == "" {
			continue
		}
		now := w.module.now(w.hook.module)
		if w.hook.later {
			changed = s.settle(i, now) || changed
			continue
		}
		if w.module.state == moduleLive && now.instance != w.module.instance {
			gone = append(gone, s.replace(i, watch{hook: w.hook, attachment: unloaded(w)})...)
			changed, w = true, s.watches[i]
		}
		if now.state == moduleLive && w.module.state != moduleLive && !w.attachment.Attached() {
			come = append(come, i)
		}
	}
	if err := gone.close(); err != nil {
		return changed, fmt.Errorf("probes: let go of a module's hooks: %w", err)
	}
	if len(come) > 0 {
		s.attachAgain(come)
		changed = true
	}
	return changed, nil
}

// replace has a watch in the place of another, and returns what kept that attached.
func (s *Session) replace(i int, w watch) links {
	s.watching.Lock()
	defer s.watching.Unlock()
	old := s.watches[i].links
	s.watches[i] = w
	return old
}

func unloaded(w watch) Attachment {
	a := Attachment{Purpose: w.hook.purpose, Required: w.attachment.Required, Without: w.hook.without}
	if w.attachment.Attached() {
		a.Denied = []Denial{{w.attachment.Symbol, w.attachment.Method, "the module " + w.hook.module + " was unloaded"}}
	}
	return a
}

// attachAgain tries the hooks again, with the types as they are now.
func (s *Session) attachAgain(hooks []int) {
	cache := btf.NewCache()
	a := s.attacher(cache, sync.OnceValues(func() (*btf.Spec, error) { return kernelTypes(cache, s.opts.BTF) }))
	restore := memlock.liftAnyhow()
	defer restore()
	for _, i := range hooks {
		w := s.watches[i]
		found := findModule(w.hook.module)
		attachment, attached := a.attach(w.hook)
		attachment.Required = w.attachment.Required
		s.replace(i, watch{hook: w.hook, module: found, attachment: attachment, links: attached})
	}
}

// A candidate is a site in a module that was not loaded, with what is to run there.
type candidate struct {
	site    site
	links   links // to *deferred.Probe
	running bool
}

// run has it run from when the module is loaded, each time.
func (c *candidate) run() error {
	if c.running {
		return nil
	}
	for _, one := range c.links {
		if err := one.link.(*deferred.Probe).Run(one.prog.FD()); err != nil {
			return err
		}
	}
	c.running = true
	return nil
}

// later has the kernel attach the hook when it loads the module. Which of several sites the module has is not known before:
// the one that it has runs once AttachLate has found out, and a single one at once.
func (a *attacher) later(h hook) (Attachment, []candidate) {
	result := Attachment{Purpose: h.purpose, Awaits: h.module}
	var candidates []candidate
	for _, s := range h.sites {
		if !s.within(h.module) || !a.haveStruct(s.takes) {
			continue
		}
		attached, err := a.deferred(h.module, s)
		if err != nil {
			result.Denied = append(result.Denied, Denial{s.symbol, Kprobe, reason(Kprobe, err)})
			continue
		}
		candidates = append(candidates, candidate{site: s, links: attached})
	}
	if len(candidates) == 1 {
		if err := candidates[0].run(); err != nil {
			err = errors.Join(err, candidates[0].links.close())
			result.Denied = append(result.Denied, Denial{candidates[0].site.symbol, Kprobe, reason(Kprobe, err)})
			candidates = nil
		}
	}
	if len(candidates) == 0 {
		result.Without, result.Awaits = h.without, ""
	}
	return result, candidates
}

// within tells whether all functions of the site are in the module.
func (s *site) within(module string) bool {
	return (s.module == "" || s.module == module) && (s.also == nil || s.also.within(module))
}

// functions are those of the site.
func (s *site) functions() []string {
	if s.also == nil {
		return []string{s.symbol}
	}
	return append(s.also.functions(), s.symbol)
}

// deferred puts the programs of a site where the kernel will attach them, or none. As for attacher.kprobe, the return comes first.
func (a *attacher) deferred(module string, s site) (links, error) {
	if err := deferred.Possible(); err != nil {
		return nil, err // before there is somebody to take away what was never there, who cannot either
	}
	var attached links
	put := func(name string, returns int) error {
		if name == "" {
			return nil
		}
		prog, err := a.load(name, nil)
		if err != nil {
			return err
		}
		if err := a.undo.ready(); err != nil {
			return errors.Join(err, prog.Close())
		}
		probe, err := deferred.Put(deferred.Place{Module: module, Function: s.symbol, Returns: returns}, a.undo.group+"_0", int(a.undo.events.Add(1)))
		return attached.keep(prog, probe, err)
	}
	err := put(s.kretprobe, maxActive)
	if err == nil {
		err = put(s.kprobe, 0)
	}
	if err == nil && s.also != nil {
		var more links
		more, err = a.deferred(module, *s.also)
		attached = append(attached, more...)
	}
	if err != nil {
		return nil, errors.Join(err, attached.close())
	}
	return attached, nil
}

// settle tells where a hook is attached that the kernel attaches itself, as the module is now, and says whether that
// has changed.
func (s *Session) settle(i int, now module) bool {
	w := s.watches[i]
	if len(w.candidates) == 0 || now == w.module || now.state != moduleLive && now != (module{}) {
		return false // nothing can come, nothing has, or it is coming or going
	}
	w.module = now
	before := w.attachment
	w.attachment, w.links = Attachment{Purpose: before.Purpose, Awaits: w.hook.module}, nil
	if now.state == moduleLive && w.hook.applies() {
		choose(&w)
	}
	s.replace(i, w)
	return w.attachment.Symbol != before.Symbol || w.attachment.Without != before.Without
}

// choose takes the first candidate that the module has.
func choose(w *watch) {
	w.attachment.Awaits = ""
	deny := func(symbol, why string) {
		w.attachment.Denied = append(w.attachment.Denied, Denial{symbol, Kprobe, why})
	}
	has, err := functionsOf(w.hook.module)
	types := &attacher{cache: btf.NewCache()}
	for i := range w.candidates {
		c := &w.candidates[i]
		switch {
		case err != nil:
			deny(c.site.symbol, err.Error())
			continue
		case slices.ContainsFunc(c.site.functions(), func(f string) bool { return !has[f] }):
			deny(c.site.symbol, reasonNoFunction)
			continue
		case c.site.parameters > 0 && types.parameters(w.hook.module, c.site.symbol) < c.site.parameters:
			deny(c.site.symbol, reasonParameters)
			continue
		}
		if err := c.run(); err != nil {
			deny(c.site.symbol, reason(Kprobe, err))
			continue
		}
		w.attachment.Symbol, w.attachment.Method, w.attachment.Without, w.links = c.site.symbol, Kprobe, c.site.without, c.links
		return
	}
	w.attachment.Without = w.hook.without
}
