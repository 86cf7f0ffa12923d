package umem

import "umemstress/rdma"

// The operations that messages are carried by.
const (
	VerbWrite = "write" // RDMA WRITE into the target
	VerbRead  = "read"  // RDMA READ by who has the target
	VerbSend  = "send"  // messages, which are received into the target
)

// Arrival says how bytes arrive that a verb carries, as in "bytes that arrive by ...".
func Arrival(verb string) string {
	switch verb {
	case VerbRead:
		return "RDMA READ"
	case VerbSend:
		return "RDMA SEND"
	}
	return "RDMA WRITE"
}

// Verbs are all of them.
func Verbs() []string { return []string{VerbWrite, VerbRead, VerbSend} }

// op is what a verb asks the device for.
func op(verb string) rdma.Op {
	switch verb {
	case VerbRead:
		return rdma.OpRead
	case VerbSend:
		return rdma.OpSend
	}
	return rdma.OpWrite
}

// access is what the device may do to the regions, no more than the verb takes.
func access(verb string) rdma.Access {
	switch verb {
	case VerbRead:
		return rdma.AccessLocalWrite | rdma.AccessRemoteWrite | rdma.AccessRemoteRead
	case VerbSend:
		return rdma.AccessLocalWrite
	}
	return rdma.AccessLocalWrite | rdma.AccessRemoteWrite
}
