// Package softroce carries verbs out on soft-RoCE devices: it asks the kernel in
// the write ABI (package uverbs) and drives the queues of rdma_rxe itself (package
// rxe). It does RDMA WRITE and READ, atomic operations and messages.
package softroce

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/uverbs"
	"umemstress/rdma/internal/verbs"
)

// The neutral values cross the ABI as they are. What is not equal does not compile.
var (
	_ = [1]struct{}{}[verbs.AccessLocalWrite-uapi.AccessLocalWrite]
	_ = [1]struct{}{}[verbs.AccessRemoteWrite-uapi.AccessRemoteWrite]
	_ = [1]struct{}{}[verbs.AccessRemoteRead-uapi.AccessRemoteRead]
	_ = [1]struct{}{}[verbs.AccessRemoteAtomic-uapi.AccessRemoteAtomic]
	_ = [1]struct{}{}[verbs.AccessBindWindow-uapi.AccessMWBind]
	_ = [1]struct{}{}[verbs.EventDeviceFatal-uapi.EventDeviceFatal]
	_ = [1]struct{}{}[verbs.RC-uapi.QPTypeRC]
	_ = [1]struct{}{}[verbs.UC-uapi.QPTypeUC]
	_ = [1]struct{}{}[verbs.UD-uapi.QPTypeUD]
	_ = [1]struct{}{}[verbs.OpWrite-uapi.WROpRDMAWrite]
	_ = [1]struct{}{}[verbs.OpRead-uapi.WROpRDMARead]
	_ = [1]struct{}{}[verbs.OpCompareSwap-uapi.WROpAtomicCmpAndSwp]
	_ = [1]struct{}{}[verbs.OpFetchAdd-uapi.WROpAtomicFetchAndAdd]
	_ = [1]struct{}{}[verbs.OpLocalInv-uapi.WROpLocalInv]
	_ = [1]struct{}{}[verbs.OpSendInv-uapi.WROpSendWithInv]
	_ = [1]struct{}{}[verbs.MWType1-uapi.MWType1]
	_ = [1]struct{}{}[verbs.MWType2-uapi.MWType2]
	_ = [1]struct{}{}[verbs.OpSend-uapi.WROpSend]
	_ = [1]struct{}{}[verbs.OpWriteImm-uapi.WROpRDMAWriteWithImm]
	_ = [1]struct{}{}[verbs.OpSendImm-uapi.WROpSendWithImm]
)

type backend struct {
	file *uverbs.File

	mu       sync.Mutex
	queues   map[*queue]struct{} // that are mapped
	channels map[int]struct{}    // that are open
	pairs    map[uint64]uint32   // the numbers of queue pairs, by how the kernel names them in events
	named    uint64              // how many had a name
	ways     map[verbs.Handle]*uapi.RxeAV
}

// Open opens the device node of a soft-RoCE device, such as
// /dev/infiniband/uverbs0.
func Open(node string) (verbs.Backend, error) {
	file, err := uverbs.Open(node)
	if err != nil {
		return nil, err
	}
	return &backend{file: file, queues: map[*queue]struct{}{}, channels: map[int]struct{}{}, pairs: map[uint64]uint32{}, ways: map[verbs.Handle]*uapi.RxeAV{}}, nil
}

// Close unmaps the queues and closes the channels that are left, because these keep the file open, and
// with it all that the kernel holds for it.
func (b *backend) Close() error {
	var errs []error
	for q := range b.queues {
		errs = append(errs, q.unmap())
	}
	for channel := range b.channels {
		errs = append(errs, unix.Close(channel))
	}
	return errors.Join(append(errs, b.file.Close())...)
}

func (b *backend) QueryDevice() (verbs.DeviceAttr, error) {
	attr, err := b.file.QueryDevice()
	return verbs.DeviceAttr{MaxDestRDAtomic: attr.MaxQPRDAtom, MaxRDAtomic: attr.MaxQPInitRDAtom}, err
}

func (b *backend) QueryPort(port uint8) (verbs.PortAttr, error) {
	attr, err := b.file.QueryPort(port)
	return verbs.PortAttr{State: verbs.PortState(attr.State), ActiveMTU: verbs.MTU(attr.ActiveMTU)}, err
}

func (b *backend) AllocPD() (verbs.Handle, error) {
	pd, err := b.file.AllocPD()
	return verbs.Handle(pd), err
}

func (b *backend) DeallocPD(pd verbs.Handle) error { return b.file.DeallocPD(uint32(pd)) }

func (b *backend) RegisterMR(pd verbs.Handle, mem []byte, access verbs.Access) (verbs.MR, error) {
	resp, err := b.file.RegMR(uint32(pd), verbs.AddressOf(mem), uint64(len(mem)), uint32(access))
	return verbs.MR{Handle: verbs.Handle(resp.MRHandle), LKey: resp.LKey, RKey: resp.RKey}, err
}

func (b *backend) RegisterMRs(pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
	return verbs.EachOf(mems, into, func(mem []byte) (verbs.MR, error) { return b.RegisterMR(pd, mem, access) })
}

func (b *backend) RegisterDMABuf(pd verbs.Handle, fd int, length uint64, access verbs.Access) (verbs.MR, error) {
	resp, err := b.file.RegDMABufMR(uint32(pd), fd, length, uint32(access))
	return verbs.MR{Handle: verbs.Handle(resp.MRHandle), LKey: resp.LKey, RKey: resp.RKey}, err
}

func (b *backend) ReregisterMR(mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
	var start uint64
	if to.Mask&verbs.ReregMemory != 0 {
		start = verbs.AddressOf(to.Mem)
	}
	resp, err := b.file.ReregMR(uint32(mr), uint32(to.Mask), start, uint64(len(to.Mem)), uint32(to.Access))
	return verbs.MR{Handle: mr, LKey: resp.LKey, RKey: resp.RKey}, err
}

func (b *backend) DeregisterMR(mr verbs.Handle) error { return b.file.DeregMR(uint32(mr)) }
