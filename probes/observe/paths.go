package observe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"umemstress/probes/event"
	"umemstress/probes/mapped"
)

// maxPaths is how many files' paths are remembered. They are, since who releases pages may
// have unmapped them, and a process that was killed has no maps at all.
const maxPaths = 4096

// A registry knows files by the kernel's names for them.
type registry struct {
	proc  string // /proc
	paths map[event.Inode]string
	// covered are regions: what is detached from a file is known by who pinned it where.
	covered []region
	dropped uint64 // regions that there was no room for
}

// A region is pages of a file that somebody pinned.
type region struct {
	owner  event.Owner
	holder string
	first  uint64
	pages  uint64
	file   event.Inode
	device string  // RDMA
	mrn    *uint32 // RDMA
	at     uint64  // its address
	length uint64
}

func regionOf(e event.Event) region {
	return region{e.Owner, e.Holder, e.Index, e.Pages, e.Inode, e.Region.Device, e.Region.MRN, e.Region.Address, e.Region.Length}
}

// is says whether the event is of the region, as far as it tells: a program may register one piece of
// memory several times.
func (c region) is(e event.Event) bool {
	if c.owner.PID != e.Owner.PID || c.at != e.Region.Address || c.length != e.Region.Length {
		return false
	}
	return c.mrn == nil || e.Region.MRN == nil || *c.mrn == *e.Region.MRN && (c.device == e.Region.Device || c.device == "" || e.Region.Device == "")
}

// maxRegions is how many are remembered, as many as the kernel's side has room for (the map pins).
const maxRegions = 16384

func newRegistry(proc string) *registry {
	return &registry{proc: proc, paths: map[event.Inode]string{}}
}

// learn finds the path of a pinned region's file, and remembers it.
func (r *registry) learn(e event.Event) {
	if e.Inode == (event.Inode{}) {
		return
	}
	if e.Holder != event.HolderUmem {
		r.forget(e) // nobody tells that it ends: a buffer may be pinned in one place again and again
	}
	if len(r.covered) == maxRegions {
		r.covered = slices.Delete(r.covered, 0, 1)
		r.dropped++
	}
	r.covered = append(r.covered, regionOf(e))
	r.remember(e.Inode, r.at(e))
}

func (r *registry) remember(file event.Inode, path string) {
	if path == "" {
		return
	}
	if _, known := r.paths[file]; !known && len(r.paths) >= maxPaths {
		for old := range r.paths { // any one
			delete(r.paths, old)
			break
		}
	}
	r.paths[file] = path
}

// forget drops a region that was released: one, where several are alike.
func (r *registry) forget(e event.Event) {
	if i := slices.IndexFunc(r.covered, func(c region) bool { return c.is(e) && c.file == e.Inode }); i >= 0 {
		r.covered = slices.Delete(r.covered, i, i+1)
	}
}

// path is that of an event's file: remembered, or as its owner has it mapped.
func (r *registry) path(e event.Event) string {
	if e.Detached {
		return r.paths[r.pinnedAt(e).file]
	}
	if e.Inode == (event.Inode{}) {
		return ""
	}
	if known, ok := r.paths[e.Inode]; ok {
		return known
	}
	for _, pid := range []uint32{e.Owner.PID, e.PID} {
		found := r.mapped(pid, func(m mapped.Mapping) bool {
			return m.Inode == e.Inode.Number && m.Major == e.Inode.Device>>20 && m.Minor == e.Inode.Device&(1<<20-1)
		})
		if found != "" {
			r.remember(e.Inode, found)
			return found
		}
	}
	return ""
}

// pinnedAt is the region that the pages were pinned in, if there is just one that it can be.
func (r *registry) pinnedAt(e event.Event) (found region) {
	for _, c := range r.covered {
		if c.owner.PID == e.Owner.PID && c.first <= e.Index && e.Index < c.first+c.pages && (e.Detached || c.file == e.Inode) {
			if found.owner.PID != 0 && found.file != c.file {
				return region{}
			}
			found = c
		}
	}
	return found
}

// number is that of a region that was pinned before, whose release does not tell it; nil: not known, or
// it can be one of several.
func (r *registry) number(e event.Event) (found *uint32) {
	for _, c := range r.covered {
		if !c.is(e) || c.file != e.Inode {
			continue
		}
		if found != nil || c.mrn == nil {
			return nil
		}
		found = c.mrn
	}
	return found
}

// name fills in who holds a page that the kernel's side knows of nobody to hold: it may be told
// of regions that were pinned before only after that.
func (r *registry) name(e *event.Event) {
	for _, c := range r.covered {
		if c.file == e.Inode && c.first <= e.Index && e.Index < c.first+c.pages {
			e.Owner, e.Holder = c.owner, c.holder
		}
	}
}

// at is the path of the file at a region's address. The maps of its owner have it as the owner
// sees it; the names that the kernel side has recorded are for who is gone already, as one often
// is that was refused a region.
func (r *registry) at(e event.Event) string {
	found := r.mapped(e.Owner.PID, func(m mapped.Mapping) bool {
		return m.Start <= e.Region.Address && e.Region.Address < m.End
	})
	if found == "" {
		found = r.named(e)
	}
	return found
}

// mapped returns the path of a file that a process has mapped; "" if it has not, or is gone.
func (r *registry) mapped(pid uint32, wanted func(mapped.Mapping) bool) string {
	if m := r.mapping(pid, wanted); m != nil {
		return m.Path
	}
	return ""
}

// mapping returns the first that is wanted of the mappings of files that a process has; nil: it
// has none, or is gone.
func (r *registry) mapping(pid uint32, wanted func(mapped.Mapping) bool) *mapped.Mapping {
	mappings, err := mapped.Of(r.proc, pid)
	if err != nil {
		return nil
	}
	if i := slices.IndexFunc(mappings, wanted); i >= 0 {
		return &mappings[i]
	}
	return nil
}

// named puts the recorded names of an event's file below where its owner has the file system mounted.
func (r *registry) named(e event.Event) string {
	if len(e.Names) == 0 {
		return ""
	}
	within := "/"
	for _, name := range slices.Backward(e.Names) {
		within = path.Join(within, name)
	}
	for _, m := range mapped.Mounts(r.proc, e.Owner.PID, e.Inode.Device>>20, e.Inode.Device&(1<<20-1)) {
		if below, ok := strings.CutPrefix(within, strings.TrimSuffix(m.Root, "/")); ok && (below == "" || below[0] == '/') {
			return path.Join(m.Mountpoint, below)
		}
	}
	return fmt.Sprintf("%s (not mounted here)", within)
}
