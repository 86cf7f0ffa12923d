// Package rdma is RDMA verbs in Go, without cgo: devices, protection domains, memory
// regions, completion queues and queue pairs that write to remote memory and read from it.
// It knows no workload, and for soft-RoCE devices it needs no library.
//
// From a device to bytes moved, in order: [FindDevice], [Open], [Context.AllocPD],
// [PD.RegisterMR] of memory from mmap, which pins it (of thousands [PD.RegisterMRs]), [Context.CreateCQ],
// [PD.CreateQP], [Context.Path], [ConnectLoopback] or [QP.Connect], [QP.Post]
// and [CQ.Wait]. [MR.Close] unpins, which is the moment of truth for a file. The
// package's example has all of it, with the errors. Queue pairs can have their receives in
// common ([PD.CreateSRQ]), and a peer can be given the key of a part of a region alone ([MR.AllocWindow]), and a region another access or other memory ([MR.ChangeAccess], [MR.ChangeMemory]).
//
// # How it works
//
// This package keeps the life times of objects, resolves devices and paths, and
// says what an error means. Who carries the requests out is behind the interfaces
// of internal/verbs, and passes the suite of internal/verbs/verbstest. There are two,
// of which [Open] takes the one that suits the device and [OpenThrough] the one that
// is asked for.
//
// internal/softroce is for soft-RoCE devices, from Linux 5.10 on. It makes objects by
// requests to /dev/infiniband/uverbsN (internal/uverbs, with the structs of
// internal/uapi). Traffic needs no request: work requests and completions go through
// rings that the driver shares by mmap (internal/rxe), and an empty POST_SEND rings the
// doorbell. The layout of the rings is rdma_rxe's own, hence soft-RoCE alone.
//
// internal/ibverbs is for every device that has a provider in rdma-core on the host: it
// loads libibverbs, in programs that are built with the tag ibverbs (see [CanLoad]). Such programs
// can have a [Manager] connect queue pairs, too.
//
// # What it is careful about
//
// Errors are of type *[Error] and say operation, object, reason and remedy.
// [Error.HostLacks] is for what the host is missing; a pin that the kernel
// refuses is [ErrPinRefused]; a device that was removed is [ErrDeviceGone], and a port
// that goes down under traffic [ErrPortDown].
// Completions have errors of their own, of type *[CompletionError]. On an unreliable
// connection ([UC]), and of datagrams ([UD]), they tell that bytes were sent, and nobody tells that they were dropped.
//
// Everything may be closed in any order, and closing the context closes all. What
// is still open when the process dies, the kernel closes.
package rdma
