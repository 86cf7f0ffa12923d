package scenario

import (
	"slices"
	"strings"
)

// nonsense says why the scenario's parts, each of which exists, show nothing
// together; empty where they do show something.
func (c Catalogue) nonsense(s Scenario) string {
	p, _ := c.parts(s)
	fs := p.fs
	switch {
	case p.holder.PinsAs != "" && !toldApart(s):
		return p.holder.Name + " pins as " + p.holder.PinsAs + " does, and is another in its release alone; of more than pageout, punch and reflink take --holder " + p.holder.PinsAs
	case p.holder.ByFrames && fs.Backing == OnPmem:
		return "when " + p.holder.Name + " has released pages is read from their frames, of which the kernel tells nothing where they are persistent memory; use dio"
	case fs.WrittenAs != "" && !toldApart(s):
		return fs.Name + " writes pages as " + fs.WrittenAs + " does; of more than pageout and punch take --fs " + fs.WrittenAs
	case s.Folios == "large" && !fs.LargeFolios:
		return "large folios of " + fs.Name + " are not made here; use ext4, xfs, btrfs or tmpfs"
	case p.strip.NeedsLarge && (!fs.LargeFolios || s.Folios == "single"):
		return s.Strip + " takes nothing but what belongs to large folios"
	case p.mutation.Beside && (!fs.LargeFolios || s.Folios == "single"):
		return s.Mutation + " reaches the region through large folios alone"
	case fs.PageBytes > 0 && p.holder.Remaps:
		return p.holder.Name + " maps the file a second time (mremap), which is not made here for huge pages"
	case fs.Backing == InMemory && s.Strip != "none":
		return fs.Name + " has its pages nowhere else, so reclaim takes nothing from them without swap"
	case fs.Backing == InMemory && s.Mutation != "none" && !p.mutation.Beside:
		return fs.Name + " has its pages nowhere else, so who takes them from a file has asked for the loss"
	case fs.Backing == OnPmem && (s.Strip != "none" || s.Folios == "single"):
		return fs.Name + " has no page cache, so there are no folios, and nothing that reclaim could take"
	case fs.Backing == OnPmem && s.Mutation == "odirect-write":
		return fs.Name + " has no page cache, so a direct write goes to the very pages that are pinned"
	case fs.Backing == OnServer && s.Strip == "pressure":
		return "the server of " + fs.Name + " is a process of this machine, which would be short of memory, too"
	case s.Mutation == "reflink" && !fs.Reflink:
		return fs.Name + " has no reflink copies (FICLONE)"
	case strings.HasPrefix(s.Mutation, "punch") && !fs.Punch, strings.HasPrefix(s.Mutation, "zero") && !fs.ZeroRange:
		return fs.Name + "'s own code has no fallocate for " + s.Mutation
	case fs.JournalsData && s.Mutation == "odirect-write":
		return fs.Name + " makes direct writes through the page cache, so they detach nothing"
	case fs.Backing == OnDevice && s.Mutation == "truncate":
		return "a block device has a fixed length"
	case s.Mutation == "reflink" && s.Strip != "none":
		return "whether a clone is overwritten does not depend on buffers, so a strip before it changes nothing; use strip none"
	case s.Mutation != "none" && s.Strip != "none":
		return s.Mutation + " detaches the pages, so a strip before it changes nothing; use strip none"
	}
	return ""
}

// toldApart says whether the scenario is one of those that a holder is tried by which differs from
// another in its release alone, and a file system which is written as another.
func toldApart(s Scenario) bool {
	return slices.Contains([]string{"none", "pageout"}, s.Strip) && slices.Contains([]string{"none", "punch", "reflink"}, s.Mutation)
}

// Explained is a scenario with one line on what it shows, or on why it makes no
// sense.
type Explained struct {
	Scenario Scenario `json:"scenario"`
	Shows    string   `json:"shows,omitempty"`
	Large    bool     `json:"large,omitempty"` // it shows nothing where no folio is large
	Nonsense string   `json:"nonsense,omitempty"`
}

// All returns every combination of the tables, in natural folios.
func (c Catalogue) All() []Explained {
	var all []Explained
	for _, holder := range c.Holders {
		for _, fs := range c.Filesystems {
			for _, strip := range c.Strips {
				for _, mutation := range c.Mutations {
					s := Scenario{holder.Name, fs.Name, strip.Name, mutation.Name, Natural}
					e := Explained{Scenario: s, Nonsense: c.nonsense(s)}
					if e.Nonsense == "" {
						e.Shows, e.Large = c.shows(s), strip.NeedsLarge || mutation.Beside
					}
					all = append(all, e)
				}
			}
		}
	}
	return all
}

// shows is one line on what a run of the scenario tells.
func (c Catalogue) shows(s Scenario) string {
	p, _ := c.parts(s)
	fs, by := p.fs, "by "+p.holder.Does
	switch {
	case fs.Backing == OnPmem && s.Mutation != "none":
		return "whether " + s.Mutation + " waits until who pins pages of persistent memory " + by + " lets go of them"
	case fs.Backing == OnPmem:
		return "control: " + fs.Name + " has no page cache, so what arrives " + by + " is on the device, or the pin is refused"
	case s.Mutation == "reflink":
		return "whether a clone is overwritten when its original's pages are dirtied unannounced " + by
	case p.mutation.Beside:
		return "whether bytes that arrive " + by + " are lost silently when " + s.Mutation + " changes the file at other offsets"
	case s.Mutation != "none":
		return "whether bytes that arrive " + by + " are lost silently once " + s.Mutation + " has detached the pages"
	case fs.Backing == InMemory:
		return "control: " + fs.Name + " needs to be told of nothing, so nothing may be reported"
	case p.strip.NeedsLarge:
		return "whether pages of large folios lose what " + fs.Name + " knows of them to " + s.Strip + " before they are dirtied " + by
	case s.Strip == "none":
		return "what becomes of pages of " + fs.Name + " dirtied unannounced " + by + ", with nothing stripped"
	case fs.DropsBufferless:
		return "whether pages that " + s.Strip + " stripped of their buffers are dropped when dirtied " + by
	case fs.Heals:
		return "control: " + fs.Name + " makes up for what " + s.Strip + " took, so no page may be reported as buffer-less"
	}
	return "what becomes of pages of " + fs.Name + ", which needs no buffers, dirtied unannounced " + by + " after " + s.Strip
}
