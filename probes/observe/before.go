package observe

import (
	"slices"

	"umemstress/probes/event"
	"umemstress/probes/mapped"
)

const pageShift = 12

// locate finds out what is in a region that was pinned before anybody looked: its file and
// which pages of it, by the maps of its owner. It is false of memory whose writing would be no
// file's, and of a region that was seen being pinned before the kernel listed it.
func (r *registry) locate(e *event.Event) bool {
	if slices.ContainsFunc(r.covered, func(c region) bool { return c.is(*e) }) {
		return false
	}
	from, to := e.Region.Address, e.Region.Address+e.Region.Length
	m := r.mapping(e.Owner.PID, func(m mapped.Mapping) bool {
		return m.Shared && m.Writable && from < m.End && m.Start < to
	})
	if m == nil {
		return false
	}
	first, last := max(from, m.Start), min(to, m.End)-1
	e.Inode = event.Inode{Number: m.Inode, Device: m.Major<<20 | m.Minor}
	e.Index = (m.Offset + first - m.Start) >> pageShift
	e.Pages = last>>pageShift - first>>pageShift + 1
	e.Filesystem = m.Filesystem(r.proc, e.Owner.PID)
	return true
}
