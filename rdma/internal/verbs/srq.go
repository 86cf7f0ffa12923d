package verbs

// SRQ is a shared receive queue: memory for messages that come to any of the queue pairs that were made with it. It is
// never called by two goroutines at once, nor after Destroy.
type SRQ interface {
	// PostReceives is as of a QP. Messages take the memory in their order, whichever queue pair they come to, and
	// complete it there. A queue pair in the error state leaves it to the others.
	PostReceives(wrs []ReceiveWR) (n int, err error)
	Destroy() error // EBUSY while a queue pair uses it
}

// SRQInit says what a shared receive queue is to be. A device may grant more.
// struct ib_uverbs_create_srq, ib_user_verbs.h; struct ibv_srq_init_attr, verbs.h.
type SRQInit struct {
	PD      Handle
	MaxRecv uint32
	MaxSGE  uint32 // pieces of memory of a receive; 0 is 1
}

// Limits are what its receives may be.
func (i *SRQInit) Limits() Limits { return Limits{SGEs: max(1, int(i.MaxSGE))} }
