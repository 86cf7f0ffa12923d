package observe

import (
	"path"
	"strings"

	"umemstress/probes/event"
)

// A Filter is what the kernel side cannot tell. An event passes if it has no word against it:
// what it does not know, it is not judged by. Empty: everything passes.
type Filter struct {
	Comm       string // a shell pattern of the owner's name; of the actor's, where no owner is known
	Filesystem string // its type's name
	Path       string // a shell pattern of the whole path, or a directory
	RDMADevice string // excludes the other holders
}

func (f Filter) wants(l *Line) bool {
	who := l.Owner
	if who == nil {
		who = l.Actor
	}
	switch {
	case f.Comm != "" && who != nil && !matches(f.Comm, who.Comm),
		f.Filesystem != "" && l.Filesystem != "" && f.Filesystem != l.Filesystem,
		f.Path != "" && l.Path != "" && !matches(f.Path, l.Path) && !below(f.Path, l.Path),
		f.RDMADevice != "" && l.RDMADevice != "" && f.RDMADevice != l.RDMADevice,
		f.RDMADevice != "" && l.Holder != "" && l.Holder != holderWords[event.HolderUmem]:
		return false
	}
	return true
}

// Check says what is wrong with the filter's patterns.
func (f Filter) Check() error {
	for _, pattern := range []string{f.Comm, f.Path} {
		if _, err := path.Match(pattern, ""); err != nil {
			return err
		}
	}
	return nil
}

func matches(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

func below(directory, file string) bool {
	return strings.HasPrefix(file, strings.TrimSuffix(directory, "/")+"/")
}
