package record

import "fmt"

// FromDisk says how it is known that the bytes of a channel came from the disk.
type FromDisk struct {
	Proof string `json:"proof,omitempty"` // one of the proofs below; empty: no page is proven, or the evidence is from before this was looked at
	// DirectPages are the pages that are known to have been read past the page cache.
	DirectPages uint64 `json:"direct_pages,omitempty"`
	// UnprovenPages could have been read from the page cache. They are not among those checked.
	UnprovenPages uint64 `json:"unproven_pages,omitempty"`
}

// The proofs. Both begin with pages that were taken from the page cache, each looked at.
const (
	ProofDirect  = "direct"  // and after they had been read, the page cache had none of them: direct I/O that was direct
	ProofEvicted = "evicted" // and they were read through the page cache, which had to fill it from the disk
)

// StateOf is the state of a channel that read the disk, or failed with an error, and why.
// A page that is wrong on the disk is so whatever the others are; that all are right is known
// only of all.
func (d FromDisk) StateOf(wrong uint64, err error) (state, why string) {
	if err != nil || d.UnprovenPages == 0 {
		return StateOf(err)
	}
	why = fmt.Sprintf("%d pages stay in the page cache, so that what is read of them need not come from the disk", d.UnprovenPages)
	if wrong == 0 {
		return StateFailed, why
	}
	return StateOK, why
}
