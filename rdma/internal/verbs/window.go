package verbs

// MWType is a type of memory windows. enum ib_mw_type, ib_verbs.h; enum ibv_mw_type, verbs.h.
type MWType uint8

// Types of memory windows (InfiniBand Architecture Specification, volume 1, 10.6.7.2).
const (
	// MWType1 can be bound again while it is bound, and gives access through any queue pair of its domain.
	MWType1 MWType = 1
	// MWType2 is bound to one region through one queue pair, which alone it gives access through (type 2B), until a request takes
	// its key: OpLocalInv here, or OpSendInv of the peer. Until then that is not to be destroyed before the window: rdma_rxe would wait
	// for that for minutes.
	MWType2 MWType = 2
)

// MW is a memory window: a key to a part of a region, which a request to a queue pair gives and takes.
type MW struct {
	Handle Handle
	Type   MWType
	RKey   uint32 // to nothing, until the window is bound
}

// Bind is a request that binds a window. struct ibv_mw_bind, and member bind_mw of struct ibv_send_wr, verbs.h.
type Bind struct {
	ID           uint64 // comes back in the completion
	MW           MW     // with the key that it has now
	MR           MR     // of the same domain as the window and the queue pair, registered with AccessBindWindow
	Addr, Length uint64 // of the part of it that the window is over
	Access       Access // what the key gives to the other side: of a write or an atomic operation, the region is to have AccessLocalWrite
}

// tagBits are those of a window's key that its user chooses.
const tagBits = 0xff

// NextKey is another key of the same window, as of ibv_inc_rkey, verbs.h.
func NextKey(key uint32) uint32 { return key&^tagBits | (key+1)&tagBits }
