package ibverbs

// The structs of infiniband/verbs.h. A member that points to another object is an address; the
// objects are the library's and are only ever looked at.

// enum ibv_send_flags
const (
	sendSignaled = 1 << 1
	sendInline   = 1 << 3
)

// enum ibv_wc_opcode: those that have a byte_len.
const (
	wcRDMARead = 2
	wcRecv     = 1 << 7 // and every opcode of what was received has this bit
)

// enum ibv_wc_flags
const wcWithImm = 1 << 1

const nameBytes = 64 // IBV_SYSFS_NAME_MAX

// struct ibv_device, to its last member that is used. Its size is that of the library's alone.
type device struct {
	_    [24]byte
	Name [nameBytes]byte `abi:"name"`
}

// struct ibv_context, with the members of struct ibv_context_ops that are no symbols.
type context struct {
	Device      uintptr `abi:"device"`
	_           [56]byte
	AllocMW     uintptr `abi:"ops.alloc_mw"`
	BindMW      uintptr `abi:"ops.bind_mw"`
	DeallocMW   uintptr `abi:"ops.dealloc_mw"`
	_           [8]byte
	PollCQ      uintptr `abi:"ops.poll_cq"`
	ReqNotifyCQ uintptr `abi:"ops.req_notify_cq"`
	_           [56]byte
	PostSRQRecv uintptr `abi:"ops.post_srq_recv"`
	_           [32]byte
	PostSend    uintptr `abi:"ops.post_send"`
	PostRecv    uintptr `abi:"ops.post_recv"`
	_           [40]byte
	CmdFD       int32 `abi:"cmd_fd"`
	AsyncFD     int32 `abi:"async_fd"`
}

// struct ibv_pd
type pd struct {
	Context uintptr `abi:"context"`
}

// struct ibv_mr
type mr struct {
	Context uintptr `abi:"context"`
	PD      uintptr `abi:"pd"`
	Addr    uint64  `abi:"addr"`
	Length  uint64  `abi:"length"`
	Handle  uint32  `abi:"handle"`
	LKey    uint32  `abi:"lkey"`
	RKey    uint32  `abi:"rkey"`
}

// struct ibv_mw
type mw struct {
	Context uintptr `abi:"context"`
	PD      uintptr `abi:"pd"`
	RKey    uint32  `abi:"rkey"`
	Handle  uint32  `abi:"handle"`
	Type    uint32  `abi:"type"`
	_       uint32
}

// struct ibv_mw_bind
type mwBind struct {
	WRID      uint64 `abi:"wr_id"`
	SendFlags uint32 `abi:"send_flags"`
	_         uint32
	MR        uintptr `abi:"bind_info.mr"`
	Addr      uint64  `abi:"bind_info.addr"`
	Length    uint64  `abi:"bind_info.length"`
	Access    uint32  `abi:"bind_info.mw_access_flags"`
	_         uint32
}

// struct ibv_cq, to its last member that is used.
type completionQueue struct {
	Context uintptr `abi:"context"`
	_       [16]byte
	Handle  uint32 `abi:"handle"`
	CQE     int32  `abi:"cqe"`
}

// struct ibv_comp_channel
type compChannel struct {
	Context uintptr `abi:"context"`
	FD      int32   `abi:"fd"`
	RefCnt  int32   `abi:"refcnt"`
}

// struct ibv_ah
type addressHandle struct {
	Context uintptr `abi:"context"`
	PD      uintptr `abi:"pd"`
	Handle  uint32  `abi:"handle"`
	_       uint32
}

// struct ibv_srq, to its last member that is used.
type sharedQueue struct {
	Context uintptr `abi:"context"`
	_       [8]byte
	PD      uintptr `abi:"pd"`
	Handle  uint32  `abi:"handle"`
	_       uint32
}

// struct ibv_srq_init_attr, with struct ibv_srq_attr as its second member.
type srqInitAttr struct {
	SRQContext uintptr `abi:"srq_context"`
	MaxWR      uint32  `abi:"attr.max_wr"`
	MaxSGE     uint32  `abi:"attr.max_sge"`
	SRQLimit   uint32  `abi:"attr.srq_limit"`
	_          uint32
}

// struct ibv_qp, to its last member that is used.
type queuePair struct {
	Context uintptr `abi:"context"`
	_       [8]byte
	PD      uintptr `abi:"pd"`
	_       [24]byte
	Handle  uint32 `abi:"handle"`
	QPNum   uint32 `abi:"qp_num"`
	State   uint32 `abi:"state"`
	QPType  uint32 `abi:"qp_type"`
}

// struct ibv_qp_cap
type qpCap struct {
	MaxSendWR     uint32 `abi:"max_send_wr"`
	MaxRecvWR     uint32 `abi:"max_recv_wr"`
	MaxSendSGE    uint32 `abi:"max_send_sge"`
	MaxRecvSGE    uint32 `abi:"max_recv_sge"`
	MaxInlineData uint32 `abi:"max_inline_data"`
}

// struct ibv_qp_init_attr
type qpInitAttr struct {
	QPContext uintptr `abi:"qp_context"`
	SendCQ    uintptr `abi:"send_cq"`
	RecvCQ    uintptr `abi:"recv_cq"`
	SRQ       uintptr `abi:"srq"`
	Cap       qpCap   `abi:"cap"`
	QPType    uint32  `abi:"qp_type"`
	SQSigAll  int32   `abi:"sq_sig_all"`
	_         int32
}

// struct ibv_ah_attr, with struct ibv_global_route as its first member.
type ahAttr struct {
	DGID         [16]byte `abi:"grh.dgid"`
	FlowLabel    uint32   `abi:"grh.flow_label"`
	SGIDIndex    uint8    `abi:"grh.sgid_index"`
	HopLimit     uint8    `abi:"grh.hop_limit"`
	TrafficClass uint8    `abi:"grh.traffic_class"`
	_            uint8
	DLID         uint16 `abi:"dlid"`
	SL           uint8  `abi:"sl"`
	SrcPathBits  uint8  `abi:"src_path_bits"`
	StaticRate   uint8  `abi:"static_rate"`
	IsGlobal     uint8  `abi:"is_global"`
	PortNum      uint8  `abi:"port_num"`
	_            uint8
}

// struct ibv_qp_attr
type qpAttr struct {
	QPState          uint32 `abi:"qp_state"`
	CurQPState       uint32 `abi:"cur_qp_state"`
	PathMTU          uint32 `abi:"path_mtu"`
	PathMigState     uint32 `abi:"path_mig_state"`
	QKey             uint32 `abi:"qkey"`
	RQPSN            uint32 `abi:"rq_psn"`
	SQPSN            uint32 `abi:"sq_psn"`
	DestQPNum        uint32 `abi:"dest_qp_num"`
	QPAccessFlags    uint32 `abi:"qp_access_flags"`
	Cap              qpCap  `abi:"cap"`
	AHAttr           ahAttr `abi:"ah_attr"`
	AltAHAttr        ahAttr `abi:"alt_ah_attr"`
	PKeyIndex        uint16 `abi:"pkey_index"`
	AltPKeyIndex     uint16 `abi:"alt_pkey_index"`
	EnSQDAsyncNotify uint8  `abi:"en_sqd_async_notify"`
	SQDraining       uint8  `abi:"sq_draining"`
	MaxRDAtomic      uint8  `abi:"max_rd_atomic"`
	MaxDestRDAtomic  uint8  `abi:"max_dest_rd_atomic"`
	MinRNRTimer      uint8  `abi:"min_rnr_timer"`
	PortNum          uint8  `abi:"port_num"`
	Timeout          uint8  `abi:"timeout"`
	RetryCnt         uint8  `abi:"retry_cnt"`
	RNRRetry         uint8  `abi:"rnr_retry"`
	AltPortNum       uint8  `abi:"alt_port_num"`
	AltTimeout       uint8  `abi:"alt_timeout"`
	_                uint8
	RateLimit        uint32 `abi:"rate_limit"`
	_                uint32
}

// struct ibv_sge
type sge struct {
	Addr   uint64 `abi:"addr"`
	Length uint32 `abi:"length"`
	LKey   uint32 `abi:"lkey"`
}

// struct ibv_send_wr, of whose union wr the member rdma is used.
type sendWR struct {
	WRID       uint64  `abi:"wr_id"`
	Next       uintptr `abi:"next"`
	SGList     uintptr `abi:"sg_list"`
	NumSGE     int32   `abi:"num_sge"`
	Opcode     uint32  `abi:"opcode"`
	SendFlags  uint32  `abi:"send_flags"`
	ImmData    uint32  `abi:"imm_data"`
	RemoteAddr uint64  `abi:"wr.rdma.remote_addr"`
	RKey       uint32  `abi:"wr.rdma.rkey"`
	_          [76]byte
}

// struct ibv_send_wr, with the member atomic.
type atomicWR struct {
	WRID       uint64  `abi:"wr_id"`
	Next       uintptr `abi:"next"`
	SGList     uintptr `abi:"sg_list"`
	NumSGE     int32   `abi:"num_sge"`
	Opcode     uint32  `abi:"opcode"`
	SendFlags  uint32  `abi:"send_flags"`
	ImmData    uint32  `abi:"imm_data"`
	RemoteAddr uint64  `abi:"wr.atomic.remote_addr"`
	CompareAdd uint64  `abi:"wr.atomic.compare_add"`
	Swap       uint64  `abi:"wr.atomic.swap"`
	RKey       uint32  `abi:"wr.atomic.rkey"`
	_          [60]byte
}

// struct ibv_send_wr, with the member ud.
type datagramWR struct {
	WRID       uint64  `abi:"wr_id"`
	Next       uintptr `abi:"next"`
	SGList     uintptr `abi:"sg_list"`
	NumSGE     int32   `abi:"num_sge"`
	Opcode     uint32  `abi:"opcode"`
	SendFlags  uint32  `abi:"send_flags"`
	ImmData    uint32  `abi:"imm_data"`
	AH         uintptr `abi:"wr.ud.ah"`
	RemoteQPN  uint32  `abi:"wr.ud.remote_qpn"`
	RemoteQKey uint32  `abi:"wr.ud.remote_qkey"`
	_          [72]byte
}

// enum ibv_wr_opcode, of which a request has no neutral one.
const wrBindMW = 8

// struct ibv_send_wr, with the member bind_mw.
type bindWR struct {
	WRID      uint64  `abi:"wr_id"`
	Next      uintptr `abi:"next"`
	SGList    uintptr `abi:"sg_list"`
	NumSGE    int32   `abi:"num_sge"`
	Opcode    uint32  `abi:"opcode"`
	SendFlags uint32  `abi:"send_flags"`
	_         [44]byte
	MW        uintptr `abi:"bind_mw.mw"`
	RKey      uint32  `abi:"bind_mw.rkey"`
	_         uint32
	MR        uintptr `abi:"bind_mw.bind_info.mr"`
	Addr      uint64  `abi:"bind_mw.bind_info.addr"`
	Length    uint64  `abi:"bind_mw.bind_info.length"`
	Access    uint32  `abi:"bind_mw.bind_info.mw_access_flags"`
	_         uint32
}

// struct ibv_recv_wr
type recvWR struct {
	WRID   uint64  `abi:"wr_id"`
	Next   uintptr `abi:"next"`
	SGList uintptr `abi:"sg_list"`
	NumSGE int32   `abi:"num_sge"`
	_      int32
}

// struct ibv_wc
type workCompletion struct {
	WRID      uint64 `abi:"wr_id"`
	Status    uint32 `abi:"status"`
	Opcode    uint32 `abi:"opcode"`
	VendorErr uint32 `abi:"vendor_err"`
	ByteLen   uint32 `abi:"byte_len"`
	ImmData   uint32 `abi:"imm_data"`
	QPNum     uint32 `abi:"qp_num"`
	SrcQP     uint32 `abi:"src_qp"`
	WCFlags   uint32 `abi:"wc_flags"`
	_         [8]byte
}

// struct ibv_device_attr
type deviceAttr struct {
	FirmwareVersion [64]byte `abi:"fw_ver"`
	_               [80]byte
	MaxQPRDAtom     int32 `abi:"max_qp_rd_atom"`
	_               [8]byte
	MaxQPInitRDAtom int32 `abi:"max_qp_init_rd_atom"`
	_               [72]byte
}

// struct ibv_port_attr, to where every version has filled it in. The function of the library
// itself fills in 48 bytes; it is the macro of the header that asks for all.
type portAttr struct {
	State        uint32 `abi:"state"`
	MaxMTU       uint32 `abi:"max_mtu"`
	ActiveMTU    uint32 `abi:"active_mtu"`
	GIDTableLen  int32  `abi:"gid_tbl_len"`
	PortCapFlags uint32 `abi:"port_cap_flags"`
	MaxMsgSize   uint32 `abi:"max_msg_sz"`
	_            [22]byte
	LinkLayer    uint8 `abi:"link_layer"`
	_            [17]byte
}

// struct ibv_async_event
type asyncEvent struct {
	Element   uint64 `abi:"element"` // of a port, its number; else a pointer
	EventType uint32 `abi:"event_type"`
	_         uint32
}
