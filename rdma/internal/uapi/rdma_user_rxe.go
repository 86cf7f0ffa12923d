package uapi

// MMInfo tells where to mmap a queue. struct mminfo, rdma_user_rxe.h.
type MMInfo struct {
	Offset uint64 `abi:"offset"`
	Size   uint32 `abi:"size"`
	_      uint32
}

// RxeCreateCQResp is the driver's part behind CreateCQResp.
// struct rxe_create_cq_resp, rdma_user_rxe.h.
type RxeCreateCQResp struct {
	MI MMInfo `abi:"mi"`
}

// RxeCreateQPResp is the driver's part behind CreateQPResp.
// struct rxe_create_qp_resp, rdma_user_rxe.h.
type RxeCreateQPResp struct {
	RQMI MMInfo `abi:"rq_mi"`
	SQMI MMInfo `abi:"sq_mi"`
}

// RxeCreateSRQResp is the driver's part behind CreateSRQResp.
// struct rxe_create_srq_resp, rdma_user_rxe.h.
type RxeCreateSRQResp struct {
	MI     MMInfo `abi:"mi"`
	SRQNum uint32 `abi:"srq_num"`
	_      uint32
}

// RxeQueueBuf is the head of a queue shared with the kernel; the elements
// follow it. struct rxe_queue_buf, rdma_user_rxe.h.
type RxeQueueBuf struct {
	Log2ElemSize  uint32 `abi:"log2_elem_size"`
	IndexMask     uint32 `abi:"index_mask"`
	_             [30]uint32
	ProducerIndex uint32 `abi:"producer_index"`
	_             [31]uint32
	ConsumerIndex uint32 `abi:"consumer_index"`
	_             [31]uint32
}

// RxeSGE is struct rxe_sge, rdma_user_rxe.h.
type RxeSGE struct {
	Addr   uint64 `abi:"addr"`
	Length uint32 `abi:"length"`
	LKey   uint32 `abi:"lkey"`
}

// RxeDMAInfo is struct rxe_dma_info, rdma_user_rxe.h, without what is behind it: SGEs, or the bytes
// themselves of a request that carries them inline.
type RxeDMAInfo struct {
	Length    uint32 `abi:"length"`
	Resid     uint32 `abi:"resid"`
	CurSGE    uint32 `abi:"cur_sge"`
	NumSGE    uint32 `abi:"num_sge"`
	SGEOffset uint32 `abi:"sge_offset"`
	_         uint32
}

// RxeRecvWQE is struct rxe_recv_wqe, rdma_user_rxe.h, with SGEs behind it. NumSGE is reserved
// since 2022; before, the kernel's own users filled it in.
type RxeRecvWQE struct {
	WRID   uint64 `abi:"wr_id"`
	NumSGE uint32 `abi:"reserved"`
	_      uint32
	DMA    RxeDMAInfo `abi:"dma"`
}

// RxeSendWR is struct rxe_send_wr, rdma_user_rxe.h, with the rdma member of its
// union. NumSGE is reserved since 2022; before, the kernel read it.
type RxeSendWR struct {
	WRID       uint64 `abi:"wr_id"`
	NumSGE     uint32 `abi:"reserved"`
	Opcode     uint32 `abi:"opcode"`
	SendFlags  uint32 `abi:"send_flags"`
	ImmData    uint32 `abi:"ex.imm_data"` // or invalidate_rkey
	RemoteAddr uint64 `abi:"wr.rdma.remote_addr"`
	RKey       uint32 `abi:"wr.rdma.rkey"`
	_          uint32
	_          [104]byte // what the widest member of the union, ud, needs more
}

// RxeAtomicWR is struct rxe_send_wr, rdma_user_rxe.h, with the atomic member of its union.
type RxeAtomicWR struct {
	WRID       uint64 `abi:"wr_id"`
	NumSGE     uint32 `abi:"reserved"`
	Opcode     uint32 `abi:"opcode"`
	SendFlags  uint32 `abi:"send_flags"`
	ImmData    uint32 `abi:"ex.imm_data"`
	RemoteAddr uint64 `abi:"wr.atomic.remote_addr"`
	CompareAdd uint64 `abi:"wr.atomic.compare_add"`
	Swap       uint64 `abi:"wr.atomic.swap"`
	RKey       uint32 `abi:"wr.atomic.rkey"`
	_          uint32
	_          [88]byte
}

// RxeBindWR is struct rxe_send_wr, rdma_user_rxe.h, with the mw member of its union.
type RxeBindWR struct {
	WRID      uint64 `abi:"wr_id"`
	NumSGE    uint32 `abi:"reserved"`
	Opcode    uint32 `abi:"opcode"`
	SendFlags uint32 `abi:"send_flags"`
	ImmData   uint32 `abi:"ex.imm_data"`
	Addr      uint64 `abi:"wr.mw.addr"`
	Length    uint64 `abi:"wr.mw.length"`
	MRLKey    uint32 `abi:"wr.mw.mr_lkey"`
	MWRKey    uint32 `abi:"wr.mw.mw_rkey"` // as it is
	RKey      uint32 `abi:"wr.mw.rkey"`    // as it is to be
	Access    uint32 `abi:"wr.mw.access"`
	_         [88]byte
}

// RxeAV is struct rxe_av, rdma_user_rxe.h: the way of a datagram, of whose two addresses one is of a sockaddr_in or a
// sockaddr_in6 each.
type RxeAV struct {
	PortNum      uint8     `abi:"port_num"`
	NetworkType  uint8     `abi:"network_type"`
	DMAC         [6]uint8  `abi:"dmac"`
	DGID         [16]uint8 `abi:"grh.dgid"`
	FlowLabel    uint32    `abi:"grh.flow_label"`
	SGIDIndex    uint8     `abi:"grh.sgid_index"`
	HopLimit     uint8     `abi:"grh.hop_limit"`
	TrafficClass uint8     `abi:"grh.traffic_class"`
	_            uint8
	SGIDAddr     [28]uint8 `abi:"sgid_addr"`
	DGIDAddr     [28]uint8 `abi:"dgid_addr"`
}

// Of RxeAV.NetworkType. rdma_user_rxe.h.
const (
	RxeNetworkTypeIPv4 = 1
	RxeNetworkTypeIPv6 = 2
)

// RxeDatagramWR is struct rxe_send_wr, rdma_user_rxe.h, with the ud member of its union. The kernel takes AV where AHNum
// is 0; before Linux 5.16, which has AHNum, AV lay at the same place, outside of the struct.
type RxeDatagramWR struct {
	WRID       uint64 `abi:"wr_id"`
	NumSGE     uint32 `abi:"reserved"`
	Opcode     uint32 `abi:"opcode"`
	SendFlags  uint32 `abi:"send_flags"`
	ImmData    uint32 `abi:"ex.imm_data"`
	RemoteQPN  uint32 `abi:"wr.ud.remote_qpn"`
	RemoteQKey uint32 `abi:"wr.ud.remote_qkey"`
	PKeyIndex  uint16 `abi:"wr.ud.pkey_index"`
	_          uint16
	AHNum      uint32 `abi:"wr.ud.ah_num"`
	_          [4]uint32
	AV         RxeAV `abi:"wr.ud.av"`
}

// RxeSendWQE is struct rxe_send_wqe, rdma_user_rxe.h, with SGEs or bytes behind it.
type RxeSendWQE struct {
	WR          RxeSendWR  `abi:"wr"`
	Status      uint32     `abi:"status"`
	State       uint32     `abi:"state"`
	IOVA        uint64     `abi:"iova"`
	Mask        uint32     `abi:"mask"`
	FirstPSN    uint32     `abi:"first_psn"`
	LastPSN     uint32     `abi:"last_psn"`
	AckLength   uint32     `abi:"ack_length"`
	SSN         uint32     `abi:"ssn"`
	HasRDAtomic uint32     `abi:"has_rd_atomic"`
	DMA         RxeDMAInfo `abi:"dma"`
}
