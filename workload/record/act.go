package record

import "umemstress/probes/event"

// Act is what one process did to pages of the file, and whose they were.
type Act struct {
	Event event.Kind `json:"event"` // dirtied, stripped or dropped
	// Actor released the pages, reclaimed them or wrote them back. It is often a thread of the
	// kernel.
	Actor Process `json:"actor"`
	// Owner pinned them; nil: not known.
	Owner  *Process `json:"owner,omitempty"`
	Pages  uint64   `json:"pages,omitempty"` // not of dropped, which folios are
	Folios uint64   `json:"folios"`
}
