package verbs

// MW is a memory window of type 1 (InfiniBand Architecture Specification, volume 1, 10.6.7.2): a key to a part of a region, which
// a request to a queue pair gives and takes.
type MW struct {
	Handle Handle
	RKey   uint32 // to nothing, until the window is bound
}

// Bind is a request that binds a window. struct ibv_mw_bind, verbs.h.
type Bind struct {
	ID           uint64 // comes back in the completion
	MW           MW     // with the key that it has now
	MR           MR     // of the same domain as the window and the queue pair, registered with AccessBindWindow
	Addr, Length uint64 // of the part of it that the window is over
	Access       Access // what the key gives to the other side: of a write or an atomic operation, the region is to have AccessLocalWrite
}
