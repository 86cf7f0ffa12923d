package scenario

import "cmp"

// Catalogue are all choices of the parts of a scenario.
type Catalogue struct {
	Holders     []Holder
	Filesystems []Filesystem
	Strips      []Strip
	Mutations   []Mutation
	Folios      []Folios
}

// parts are the entries that a scenario names.
type parts struct {
	holder   Holder
	fs       Filesystem
	strip    Strip
	mutation Mutation
	folios   Folios
}

func (c Catalogue) parts(s Scenario) (p parts, known bool) {
	var h, f, st, m, fo bool
	p.holder, h = Find(c.Holders, s.Holder)
	p.fs, f = Find(c.Filesystems, s.Filesystem)
	p.strip, st = Find(c.Strips, s.Strip)
	p.mutation, m = Find(c.Mutations, s.Mutation)
	p.folios, fo = Find(c.Folios, cmp.Or(s.Folios, Natural))
	return p, h && f && st && m && fo
}

// Facts returns what is known of the scenario's parts, and whether all of them are known.
func (c Catalogue) Facts(s Scenario) (f Facts, known bool) {
	p, known := c.parts(s)
	return Facts{
		Arrival:         p.holder.Does,
		InMemory:        p.fs.Backing == InMemory,
		DropsBufferless: p.fs.DropsBufferless,
		Heals:           p.fs.Heals,
		Detaches:        p.mutation.Detaches || p.mutation.Beside,
		PinsCounted:     p.holder.PinsCounted,
		LeftClean:       p.holder.LeftClean,
		JournalsData:    p.fs.JournalsData,
		DAX:             p.fs.Backing == OnPmem,
		Deadly:          deadly(p.fs),
	}, known
}

// Choices returns what a scenario's part can be, in the order of its table.
func (c Catalogue) Choices(part Part) []Choice {
	switch part {
	case PartHolder:
		return ChoicesOf(c.Holders)
	case PartFilesystem:
		return ChoicesOf(c.Filesystems)
	case PartStrip:
		return ChoicesOf(c.Strips)
	case PartMutation:
		return ChoicesOf(c.Mutations)
	}
	return ChoicesOf(c.Folios)
}
