package uapi

// The values below cross the ABI but stand in no uapi header: the kernel has
// them in include/rdma/ib_verbs.h, user space in infiniband/verbs.h of
// libibverbs with the prefix IBV instead of IB.

// SendSignaled is a send flag of a work request: enum ib_send_flags, ib_verbs.h.
const SendSignaled = 1 << 1

// EventDeviceFatal is an asynchronous event: enum ib_event_type, ib_verbs.h.
const EventDeviceFatal = 8
