// Package ibverbs carries verbs out through rdma-core's libibverbs, which is opened at run time
// (purego, without cgo): every device that has a provider on this host works, as the layout of
// its queues is the provider's to know. It does RDMA WRITE and READ, atomic
// operations and messages.
//
// Beside the backend, its [Manager] has connections made by rdma-core's librdmacm, for queue pairs of any backend.
//
// Only with the build tag ibverbs can anything be opened at run time; without it Open says so. A
// program that has purego in it is linked dynamically, and counts as one with cgo: then
// syscall.AllThreadsSyscall, by which an observer gives up its privileges, answers ENOTSUP.
//
// # Memory
//
// What a device or its provider reads after a call, or while another runs, lies off the Go heap
// and outside every stack: work requests, their pieces of memory, completions (type arena).
// Structs that a function only reads or fills while it runs are Go's own; to keep them where they
// are is the business of call.
//
// # Layouts
//
// The structs of infiniband/verbs.h and rdma/rdma_cma.h are declared in verbs_h.go and rdma_cma_h.go with the members that are used
// here, at their offsets, which were the same in rdma-core 33.2, 44.0, 56.1 and 65.0 on x86-64. A test
// compares them with the installed header through the C compiler, and what the library gives is
// held against what it was asked for: EPROTO where the two differ.
package ibverbs
