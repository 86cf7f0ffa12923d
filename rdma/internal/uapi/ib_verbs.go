package uapi

// The values below cross the ABI but stand in no uapi header: the kernel has
// them in include/rdma/ib_verbs.h, user space in infiniband/verbs.h of
// libibverbs with the prefix IBV instead of IB.

// Attribute mask of ModifyQP. enum ib_qp_attr_mask, ib_verbs.h.
const (
	QPAttrState           = 1 << 0
	QPAttrAccessFlags     = 1 << 3
	QPAttrPkeyIndex       = 1 << 4
	QPAttrPort            = 1 << 5
	QPAttrAV              = 1 << 7
	QPAttrPathMTU         = 1 << 8
	QPAttrTimeout         = 1 << 9
	QPAttrRetryCnt        = 1 << 10
	QPAttrRNRRetry        = 1 << 11
	QPAttrRQPSN           = 1 << 12
	QPAttrMaxQPRDAtomic   = 1 << 13
	QPAttrMinRNRTimer     = 1 << 15
	QPAttrSQPSN           = 1 << 16
	QPAttrMaxDestRDAtomic = 1 << 17
	QPAttrDestQPN         = 1 << 20
)

// Queue pair states. enum ib_qp_state, ib_verbs.h.
const (
	QPStateInit = 1
	QPStateRTR  = 2
	QPStateRTS  = 3
	QPStateErr  = 6
)

// Send flags of a work request. enum ib_send_flags, ib_verbs.h.
const SendSignaled = 1 << 1

// Asynchronous events. enum ib_event_type, ib_verbs.h.
const EventDeviceFatal = 8

// Port states. enum ib_port_state, ib_verbs.h.
const (
	PortDown   = 1
	PortInit   = 2
	PortArmed  = 3
	PortActive = 4
)
