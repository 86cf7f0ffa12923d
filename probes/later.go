package probes

import (
	"errors"
	"slices"

	"github.com/cilium/ebpf/btf"

	"umemstress/probes/deferred"
)

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
