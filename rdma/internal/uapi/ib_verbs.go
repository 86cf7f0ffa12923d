package uapi

// The values below cross the ABI but stand in no uapi header: the kernel has
// them in include/rdma/ib_verbs.h, user space in infiniband/verbs.h of
// libibverbs with the prefix IBV instead of IB.

// Send flags of a work request. enum ib_send_flags, ib_verbs.h.
const (
	SendSignaled = 1 << 1
	SendInline   = 1 << 3
)

// Types of memory windows. enum ib_mw_type, ib_verbs.h.
const (
	MWType1 = 1
	MWType2 = 2
)

// EventDeviceFatal is an asynchronous event. enum ib_event_type, ib_verbs.h. What others there are, package
// verbs has.
const EventDeviceFatal = 8

// Of completions of what came in: a bit of every opcode of such (enum ib_wc_opcode), and a flag
// (enum ib_wc_flags). rdma_rxe hands the kernel's own values to its users.
const (
	WCRecv    = 1 << 7 // IB_WC_RECV
	WCWithImm = 1 << 1 // IB_WC_WITH_IMM
)
