package scenario

import "encoding/json"

// LeftClean is which pages a holder lets go of without marking them dirty.
type LeftClean string

// Which those are.
const (
	LeftCleanNone  LeftClean = ""
	LeftCleanLarge LeftClean = "large-folios" // those in large folios
	LeftCleanAll   LeftClean = "all"
)

// Known says whether this version knows such pages.
func (l LeftClean) Known() bool {
	return l == LeftCleanNone || l == LeftCleanLarge || l == LeftCleanAll
}

// UnmarshalJSON takes facts as they are, and evidence of earlier builds, in which two booleans told
// which pages were left clean.
func (f *Facts) UnmarshalJSON(raw []byte) error {
	type facts Facts // without this method
	read := struct {
		*facts
		LeavesLargeClean bool `json:"leaves_large_clean"`
		LeavesClean      bool `json:"leaves_clean"`
	}{facts: (*facts)(f)}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	switch {
	case read.LeavesClean:
		f.LeftClean = LeftCleanAll
	case read.LeavesLargeClean:
		f.LeftClean = LeftCleanLarge
	}
	return nil
}
