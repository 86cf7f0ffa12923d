package probes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/probes/memlock"
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
	restore := memlock.LiftAnyhow()
	defer restore()
	for _, i := range hooks {
		w := s.watches[i]
		found := findModule(w.hook.module)
		attachment, attached := a.attach(w.hook)
		attachment.Required = w.attachment.Required
		s.replace(i, watch{hook: w.hook, module: found, attachment: attachment, links: attached})
	}
}
