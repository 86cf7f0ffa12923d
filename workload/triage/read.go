package triage

import (
	"context"
	"errors"
	"io"
	"slices"

	"umemstress/probes/kmsg"
	"umemstress/workload/scenario"
)

// judged is an incident with the opinion of it.
type judged struct {
	*incident
	opinion
	count uint64
}

// reader is what is kept of a log while it is read: little, however long it is.
type reader struct {
	signs      signs
	ours       []*judged // the first of this bug
	others     []*judged // the first of others
	more       uint64    // of this bug, than were kept
	moreOthers uint64
	devices    []string
	suppressed uint64 // of ext4's messages
	warnings   uint64 // of ext4, of something else
	log        Log
	kernel     incident // the last of which it is known of which kernel it is
}

// Read reads a log to its end, whatever is in it, and says what it tells. The forms that it may
// have are those of decoder; it may be cut off anywhere, and several may follow one another. The
// catalogue tells in which functions of the kernel threads die of this bug. An error is one of in
// or of ctx.
func Read(ctx context.Context, in io.Reader, catalogue scenario.Catalogue) (*Diagnosis, error) {
	r := &reader{signs: signsOf(catalogue)}
	g := &gatherer{done: r.done}
	lines := newLineReader(in)
	d := &decoder{lines: lines}
	u := &unwrapper{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := d.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return nil, err
		}
		for _, m := range u.add(e) {
			r.take(g, m)
		}
	}
	for _, m := range u.last() {
		r.take(g, m)
	}
	cutOff := g.open != nil
	g.end()
	r.log.Lines, r.log.Cut, r.log.Boots = lines.number, lines.cut, g.boots
	return r.answer(cutOff), nil
}

func (r *reader) take(g *gatherer, m message) {
	if m.Kind != "" || kmsg.Begins(m.text) {
		r.log.Kernel++
	}
	g.add(m)
	if m.Release != "" {
		r.kernel = incident{release: m.Release, version: m.Version}
	}
}

// done takes an incident into account.
func (r *reader) done(i *incident) {
	switch {
	case i.kind == kmsg.Suppressed:
		r.log.Suppressed += i.head.Count
		if i.head.What == "EXT4-fs warning" {
			r.suppressed += i.head.Count
		}
	case i.kind == kmsg.FSWarning && i.head.Filesystem == "EXT4":
		r.warnings++
	}
	j := &judged{incident: i, opinion: r.signs.judge(i), count: 1}
	switch j.sure {
	case Nothing:
	case Other:
		r.others = keep(r.others, j, maxOthers, &r.moreOthers)
	default:
		if j.head.Device != "" && !slices.Contains(r.devices, evidence(j.head.Device)) && len(r.devices) < maxDevices {
			r.devices = append(r.devices, evidence(j.head.Device))
		}
		r.ours = keep(r.ours, j, maxFindings, &r.more)
	}
}

// keep adds one to the first of them, or to one that says the same.
func keep(all []*judged, j *judged, most int, more *uint64) []*judged {
	for _, k := range all {
		if k.same(j) {
			k.count++
			if len(k.lines) < maxEvidence && len(j.lines) == 1 {
				k.lines = append(k.lines, j.lines[0])
			}
			return all
		}
	}
	if len(all) == most {
		*more++
		return all
	}
	return append(all, j)
}

// same says whether two say the same: messages of one device, or a warning at one place in one
// function's traces.
func (j *judged) same(k *judged) bool {
	if j.kind != k.kind || j.boot != k.boot || j.sure != k.sure || j.says != k.says {
		return false
	}
	switch j.kind {
	case kmsg.Bufferless, kmsg.Untold, kmsg.FSError:
		return j.head.Device == k.head.Device
	case kmsg.Warning:
		return j.head.File == k.head.File && j.head.Number == k.head.Number && j.head.Function == k.head.Function && slices.Equal(j.functions(), k.functions())
	}
	return false
}
