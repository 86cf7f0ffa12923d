package memory

// Bits of an entry of /proc/kpageflags that the release of a page changes: it is dirty then, or
// gone from its file and free (include/uapi/linux/kernel-page-flags.h).
const (
	kpfUptodate  = 1 << 3
	kpfDirty     = 1 << 4
	kpfSlab      = 1 << 7
	kpfWriteback = 1 << 8
	kpfBuddy     = 1 << 10
	kpfAnon      = 1 << 12

	ofRelease = kpfUptodate | kpfDirty | kpfSlab | kpfWriteback | kpfBuddy | kpfAnon
)

// Releasing are pages that somebody will mark dirty, if he finds them clean, and then let go of,
// after he has said that he is done.
type Releasing struct{ clean map[uint64]uint64 } // flags by frame, of pages that are as they were

// WatchRelease looks at the frames before the release. Those that are dirty are not waited for:
// nobody need touch them any more.
func WatchRelease(frames []uint64) (*Releasing, error) {
	flags, err := OpenFrameFlags()
	if err != nil {
		return nil, err
	}
	defer flags.Close()
	r := &Releasing{clean: map[uint64]uint64{}}
	for _, frame := range frames {
		now, err := flags.of(frame)
		if err != nil {
			return nil, err
		}
		if now&(kpfDirty|kpfWriteback) == 0 {
			r.clean[frame] = now & ofRelease
		}
	}
	return r, nil
}

// Left returns how many of the pages have not been seen to be released, and how many of those are of
// folios of several pages. A page that was seen once stays seen.
func (r *Releasing) Left() (pages, large int, err error) {
	if len(r.clean) == 0 {
		return 0, 0, nil
	}
	flags, err := OpenFrameFlags()
	if err != nil {
		return 0, 0, err
	}
	defer flags.Close()
	for frame, before := range r.clean {
		now, err := flags.of(frame)
		if err != nil {
			return 0, 0, err
		}
		if now&ofRelease != before {
			delete(r.clean, frame)
			continue
		}
		pages++
		if now&(kpfCompoundHead|kpfCompoundTail) != 0 {
			large++
		}
	}
	return pages, large, nil
}
