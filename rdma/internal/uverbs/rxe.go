package uverbs

import "umemstress/rdma/internal/uapi"

// RxeCQ is a completion queue of rdma_rxe: its handle, its entries and where to
// mmap it.
type RxeCQ struct {
	uapi.CreateCQResp
	Driver uapi.RxeCreateCQResp
}

// RxeQP is a queue pair of rdma_rxe.
type RxeQP struct {
	uapi.CreateQPResp
	Driver uapi.RxeCreateQPResp
}

// NoChannel is of a completion queue without a completion channel.
const NoChannel = -1

// CreateRxeCQ makes a completion queue with room for entries completions, and events of it in a
// channel or NoChannel.
func (f *File) CreateRxeCQ(entries uint32, channel int) (RxeCQ, error) {
	resp := new(RxeCQ)
	err := call(f, uapi.CmdCreateCQ, uapi.CreateCQ{
		Response: uapi.PointerTo(resp), CQE: entries, CompChannel: int32(channel),
	}, resp)
	return *resp, err
}

// RxeSRQ is a shared receive queue of rdma_rxe.
type RxeSRQ struct {
	uapi.CreateSRQResp
	Driver uapi.RxeCreateSRQResp
}

// CreateRxeSRQ makes a shared receive queue; req.Response is filled in.
func (f *File) CreateRxeSRQ(req uapi.CreateSRQ) (RxeSRQ, error) {
	resp := new(RxeSRQ)
	req.Response = uapi.PointerTo(resp)
	err := call(f, uapi.CmdCreateSRQ, req, resp)
	return *resp, err
}

// CreateRxeQP makes a queue pair; req.Response is filled in.
func (f *File) CreateRxeQP(req uapi.CreateQP) (RxeQP, error) {
	resp := new(RxeQP)
	req.Response = uapi.PointerTo(resp)
	err := call(f, uapi.CmdCreateQP, req, resp)
	return *resp, err
}
