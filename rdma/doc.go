// Package rdma is RDMA verbs in pure Go: devices, protection domains, memory
// regions, completion queues and queue pairs that write into remote memory. It
// knows no workload and needs no library.
//
// From a device to bytes moved, in order: [FindDevice], [Open], [Context.AllocPD],
// [PD.RegisterMR] of memory from mmap, which pins it, [Context.CreateCQ],
// [PD.CreateQP], [Context.Path], [ConnectLoopback] or [QP.Connect], [QP.Post]
// and [CQ.Wait]. [MR.Close] unpins, which is the moment of truth for a file. The
// package's example has all of it, with the errors.
//
// # How it works
//
// This package keeps the life times of objects, resolves devices and paths, and
// says what an error means. Who carries the requests out is behind the interfaces
// of internal/verbs, and there is one so far: internal/softroce, for soft-RoCE
// devices, from Linux 5.10 on. It makes objects by requests to
// /dev/infiniband/uverbsN (internal/uverbs, with the structs of internal/uapi).
// Traffic needs no request: work requests and completions go through rings that
// the driver shares by mmap (internal/rxe), and an empty POST_SEND rings the
// doorbell. The layout of the rings is rdma_rxe's own, hence soft-RoCE alone;
// other devices need a backend that knows theirs, and passes the suite of
// internal/verbs/verbstest.
//
// # What it is careful about
//
// Errors are of type *[Error] and say operation, object, reason and remedy.
// [Error.HostLacks] is for what the host is missing; a pin that the kernel
// refuses is [ErrPinRefused]; a device that was removed is [ErrDeviceGone].
// Completions have errors of their own, of type *[CompletionError].
//
// Everything may be closed in any order, and closing the context closes all. What
// is still open when the process dies, the kernel closes.
package rdma
