package verbs

// ReregMask names what a re-registration changes. enum ib_mr_rereg_flags, ib_verbs.h; enum ibv_rereg_mr_flags, verbs.h.
type ReregMask uint32

// What can change.
const (
	ReregMemory ReregMask = 1 << 0 // the translation: what it was before is unpinned
	ReregAccess ReregMask = 1 << 2
)

// Rereg says what a region becomes. With ReregMemory alone its access stays, and with ReregAccess alone its memory does.
type Rereg struct {
	Mask   ReregMask
	Mem    []byte // as of RegisterMR
	Access Access
}
