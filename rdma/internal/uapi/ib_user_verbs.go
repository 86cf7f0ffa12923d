package uapi

// Commands of the write ABI. enum ib_uverbs_write_cmds, ib_user_verbs.h.
const (
	CmdGetContext        = 0
	CmdQueryDevice       = 1
	CmdQueryPort         = 2
	CmdAllocPD           = 3
	CmdDeallocPD         = 4
	CmdRegMR             = 9
	CmdReregMR           = 11
	CmdDeregMR           = 13
	CmdAllocMW           = 14
	CmdDeallocMW         = 16
	CmdCreateCompChannel = 17
	CmdCreateCQ          = 18
	CmdDestroyCQ         = 20
	CmdReqNotifyCQ       = 23
	CmdCreateQP          = 24
	CmdModifyQP          = 26
	CmdDestroyQP         = 27
	CmdPostSend          = 28
	CmdCreateSRQ         = 32
	CmdDestroySRQ        = 35
)

// Work request opcodes. enum ib_uverbs_wr_opcode, ib_user_verbs.h.
const (
	WROpRDMAWrite         = 0
	WROpRDMAWriteWithImm  = 1
	WROpSend              = 2
	WROpSendWithImm       = 3
	WROpRDMARead          = 4
	WROpAtomicCmpAndSwp   = 5
	WROpAtomicFetchAndAdd = 6
	WROpLocalInv          = 7
	WROpBindMW            = 8
	WROpSendWithInv       = 9
)

// CmdHdr starts every request; words are of 4 bytes and include this header.
// struct ib_uverbs_cmd_hdr, ib_user_verbs.h.
type CmdHdr struct {
	Command  uint32 `abi:"command"`
	InWords  uint16 `abi:"in_words"`
	OutWords uint16 `abi:"out_words"`
}

// GetContext is struct ib_uverbs_get_context, ib_user_verbs.h.
type GetContext struct {
	Response Pointer `abi:"response"`
}

// GetContextResp is struct ib_uverbs_get_context_resp, ib_user_verbs.h.
type GetContextResp struct {
	AsyncFD        uint32 `abi:"async_fd"`
	NumCompVectors uint32 `abi:"num_comp_vectors"`
}

// QueryDevice is struct ib_uverbs_query_device, ib_user_verbs.h.
type QueryDevice struct {
	Response Pointer `abi:"response"`
}

// QueryDeviceResp is struct ib_uverbs_query_device_resp, ib_user_verbs.h.
type QueryDeviceResp struct {
	FirmwareVersion uint64 `abi:"fw_ver"`
	_               [80]byte
	MaxQPRDAtom     uint32 `abi:"max_qp_rd_atom"`
	_               [8]byte
	MaxQPInitRDAtom uint32 `abi:"max_qp_init_rd_atom"`
	_               [72]byte
}

// QueryPort is struct ib_uverbs_query_port, ib_user_verbs.h.
type QueryPort struct {
	Response Pointer `abi:"response"`
	PortNum  uint8   `abi:"port_num"`
	_        [7]byte
}

// QueryPortResp is struct ib_uverbs_query_port_resp, ib_user_verbs.h.
type QueryPortResp struct {
	PortCapFlags  uint32 `abi:"port_cap_flags"`
	MaxMsgSz      uint32 `abi:"max_msg_sz"`
	BadPkeyCntr   uint32 `abi:"bad_pkey_cntr"`
	QkeyViolCntr  uint32 `abi:"qkey_viol_cntr"`
	GIDTblLen     uint32 `abi:"gid_tbl_len"`
	PkeyTblLen    uint16 `abi:"pkey_tbl_len"`
	LID           uint16 `abi:"lid"`
	SMLID         uint16 `abi:"sm_lid"`
	State         uint8  `abi:"state"`
	MaxMTU        uint8  `abi:"max_mtu"`
	ActiveMTU     uint8  `abi:"active_mtu"`
	LMC           uint8  `abi:"lmc"`
	MaxVLNum      uint8  `abi:"max_vl_num"`
	SMSL          uint8  `abi:"sm_sl"`
	SubnetTimeout uint8  `abi:"subnet_timeout"`
	InitTypeReply uint8  `abi:"init_type_reply"`
	ActiveWidth   uint8  `abi:"active_width"`
	ActiveSpeed   uint8  `abi:"active_speed"`
	PhysState     uint8  `abi:"phys_state"`
	LinkLayer     uint8  `abi:"link_layer"`
	Flags         uint8  `abi:"flags"`
	_             uint8
}

// AllocPD is struct ib_uverbs_alloc_pd, ib_user_verbs.h.
type AllocPD struct {
	Response Pointer `abi:"response"`
}

// AllocPDResp is struct ib_uverbs_alloc_pd_resp, ib_user_verbs.h.
type AllocPDResp struct {
	PDHandle uint32 `abi:"pd_handle"`
}

// DeallocPD is struct ib_uverbs_dealloc_pd, ib_user_verbs.h.
type DeallocPD struct {
	PDHandle uint32 `abi:"pd_handle"`
}

// RegMR is struct ib_uverbs_reg_mr, ib_user_verbs.h. Start and HCAVA must be
// congruent modulo the page size.
type RegMR struct {
	Response    Pointer `abi:"response"`
	Start       uint64  `abi:"start"`
	Length      uint64  `abi:"length"`
	HCAVA       uint64  `abi:"hca_va"`
	PDHandle    uint32  `abi:"pd_handle"`
	AccessFlags uint32  `abi:"access_flags"`
}

// RegMRResp is struct ib_uverbs_reg_mr_resp, ib_user_verbs.h.
type RegMRResp struct {
	MRHandle uint32 `abi:"mr_handle"`
	LKey     uint32 `abi:"lkey"`
	RKey     uint32 `abi:"rkey"`
}

// ReregMR is struct ib_uverbs_rereg_mr, ib_user_verbs.h. Flags say which of the members behind it count.
type ReregMR struct {
	Response    Pointer `abi:"response"`
	MRHandle    uint32  `abi:"mr_handle"`
	Flags       uint32  `abi:"flags"`
	Start       uint64  `abi:"start"`
	Length      uint64  `abi:"length"`
	HCAVA       uint64  `abi:"hca_va"`
	PDHandle    uint32  `abi:"pd_handle"`
	AccessFlags uint32  `abi:"access_flags"`
}

// ReregMRResp is struct ib_uverbs_rereg_mr_resp, ib_user_verbs.h.
type ReregMRResp struct {
	LKey uint32 `abi:"lkey"`
	RKey uint32 `abi:"rkey"`
}

// DeregMR is struct ib_uverbs_dereg_mr, ib_user_verbs.h.
type DeregMR struct {
	MRHandle uint32 `abi:"mr_handle"`
}

// AllocMW is struct ib_uverbs_alloc_mw, ib_user_verbs.h.
type AllocMW struct {
	Response Pointer `abi:"response"`
	PDHandle uint32  `abi:"pd_handle"`
	MWType   uint8   `abi:"mw_type"`
	_        [3]uint8
}

// AllocMWResp is struct ib_uverbs_alloc_mw_resp, ib_user_verbs.h.
type AllocMWResp struct {
	MWHandle uint32 `abi:"mw_handle"`
	RKey     uint32 `abi:"rkey"`
}

// DeallocMW is struct ib_uverbs_dealloc_mw, ib_user_verbs.h.
type DeallocMW struct {
	MWHandle uint32 `abi:"mw_handle"`
}

// CreateCompChannel is struct ib_uverbs_create_comp_channel, ib_user_verbs.h.
type CreateCompChannel struct {
	Response Pointer `abi:"response"`
}

// CreateCompChannelResp is struct ib_uverbs_create_comp_channel_resp, ib_user_verbs.h.
type CreateCompChannelResp struct {
	FD uint32 `abi:"fd"`
}

// ReqNotifyCQ is struct ib_uverbs_req_notify_cq, ib_user_verbs.h.
type ReqNotifyCQ struct {
	CQHandle      uint32 `abi:"cq_handle"`
	SolicitedOnly uint32 `abi:"solicited_only"`
}

// CompEventDesc is struct ib_uverbs_comp_event_desc, ib_user_verbs.h.
type CompEventDesc struct {
	CQHandle uint64 `abi:"cq_handle"`
}

// CreateCQ is struct ib_uverbs_create_cq, ib_user_verbs.h.
type CreateCQ struct {
	Response    Pointer `abi:"response"`
	UserHandle  uint64  `abi:"user_handle"`
	CQE         uint32  `abi:"cqe"`
	CompVector  uint32  `abi:"comp_vector"`
	CompChannel int32   `abi:"comp_channel"`
	_           uint32
}

// CreateCQResp is struct ib_uverbs_create_cq_resp, ib_user_verbs.h.
type CreateCQResp struct {
	CQHandle uint32 `abi:"cq_handle"`
	CQE      uint32 `abi:"cqe"`
}

// DestroyCQ is struct ib_uverbs_destroy_cq, ib_user_verbs.h.
type DestroyCQ struct {
	Response Pointer `abi:"response"`
	CQHandle uint32  `abi:"cq_handle"`
	_        uint32
}

// DestroyCQResp is struct ib_uverbs_destroy_cq_resp, ib_user_verbs.h.
type DestroyCQResp struct {
	CompEventsReported  uint32 `abi:"comp_events_reported"`
	AsyncEventsReported uint32 `abi:"async_events_reported"`
}

// CreateQP is struct ib_uverbs_create_qp, ib_user_verbs.h.
type CreateQP struct {
	Response      Pointer `abi:"response"`
	UserHandle    uint64  `abi:"user_handle"`
	PDHandle      uint32  `abi:"pd_handle"`
	SendCQHandle  uint32  `abi:"send_cq_handle"`
	RecvCQHandle  uint32  `abi:"recv_cq_handle"`
	SRQHandle     uint32  `abi:"srq_handle"`
	MaxSendWR     uint32  `abi:"max_send_wr"`
	MaxRecvWR     uint32  `abi:"max_recv_wr"`
	MaxSendSGE    uint32  `abi:"max_send_sge"`
	MaxRecvSGE    uint32  `abi:"max_recv_sge"`
	MaxInlineData uint32  `abi:"max_inline_data"`
	SQSigAll      uint8   `abi:"sq_sig_all"`
	QPType        uint8   `abi:"qp_type"`
	IsSRQ         uint8   `abi:"is_srq"`
	_             uint8
}

// CreateQPResp is struct ib_uverbs_create_qp_resp, ib_user_verbs.h.
type CreateQPResp struct {
	QPHandle      uint32 `abi:"qp_handle"`
	QPN           uint32 `abi:"qpn"`
	MaxSendWR     uint32 `abi:"max_send_wr"`
	MaxRecvWR     uint32 `abi:"max_recv_wr"`
	MaxSendSGE    uint32 `abi:"max_send_sge"`
	MaxRecvSGE    uint32 `abi:"max_recv_sge"`
	MaxInlineData uint32 `abi:"max_inline_data"`
	_             uint32
}

// QPDest is struct ib_uverbs_qp_dest, ib_user_verbs.h.
type QPDest struct {
	DGID         [16]uint8 `abi:"dgid"`
	FlowLabel    uint32    `abi:"flow_label"`
	DLID         uint16    `abi:"dlid"`
	_            uint16
	SGIDIndex    uint8 `abi:"sgid_index"`
	HopLimit     uint8 `abi:"hop_limit"`
	TrafficClass uint8 `abi:"traffic_class"`
	SL           uint8 `abi:"sl"`
	SrcPathBits  uint8 `abi:"src_path_bits"`
	StaticRate   uint8 `abi:"static_rate"`
	IsGlobal     uint8 `abi:"is_global"`
	PortNum      uint8 `abi:"port_num"`
}

// ModifyQP is struct ib_uverbs_modify_qp, ib_user_verbs.h. AttrMask says which
// fields count: enum ib_qp_attr_mask, ib_verbs.h.
type ModifyQP struct {
	Dest             QPDest `abi:"dest"`
	AltDest          QPDest `abi:"alt_dest"`
	QPHandle         uint32 `abi:"qp_handle"`
	AttrMask         uint32 `abi:"attr_mask"`
	Qkey             uint32 `abi:"qkey"`
	RQPSN            uint32 `abi:"rq_psn"`
	SQPSN            uint32 `abi:"sq_psn"`
	DestQPNum        uint32 `abi:"dest_qp_num"`
	QPAccessFlags    uint32 `abi:"qp_access_flags"`
	PkeyIndex        uint16 `abi:"pkey_index"`
	AltPkeyIndex     uint16 `abi:"alt_pkey_index"`
	QPState          uint8  `abi:"qp_state"`
	CurQPState       uint8  `abi:"cur_qp_state"`
	PathMTU          uint8  `abi:"path_mtu"`
	PathMigState     uint8  `abi:"path_mig_state"`
	EnSQDAsyncNotify uint8  `abi:"en_sqd_async_notify"`
	MaxRDAtomic      uint8  `abi:"max_rd_atomic"`
	MaxDestRDAtomic  uint8  `abi:"max_dest_rd_atomic"`
	MinRNRTimer      uint8  `abi:"min_rnr_timer"`
	PortNum          uint8  `abi:"port_num"`
	Timeout          uint8  `abi:"timeout"`
	RetryCnt         uint8  `abi:"retry_cnt"`
	RNRRetry         uint8  `abi:"rnr_retry"`
	AltPortNum       uint8  `abi:"alt_port_num"`
	AltTimeout       uint8  `abi:"alt_timeout"`
	_                [2]uint8
}

// DestroyQP is struct ib_uverbs_destroy_qp, ib_user_verbs.h.
type DestroyQP struct {
	Response Pointer `abi:"response"`
	QPHandle uint32  `abi:"qp_handle"`
	_        uint32
}

// DestroyQPResp is struct ib_uverbs_destroy_qp_resp, ib_user_verbs.h.
type DestroyQPResp struct {
	EventsReported uint32 `abi:"events_reported"`
}

// CreateSRQ is struct ib_uverbs_create_srq, ib_user_verbs.h.
type CreateSRQ struct {
	Response   Pointer `abi:"response"`
	UserHandle uint64  `abi:"user_handle"`
	PDHandle   uint32  `abi:"pd_handle"`
	MaxWR      uint32  `abi:"max_wr"`
	MaxSGE     uint32  `abi:"max_sge"`
	SRQLimit   uint32  `abi:"srq_limit"`
}

// CreateSRQResp is struct ib_uverbs_create_srq_resp, ib_user_verbs.h.
type CreateSRQResp struct {
	SRQHandle uint32 `abi:"srq_handle"`
	MaxWR     uint32 `abi:"max_wr"`
	MaxSGE    uint32 `abi:"max_sge"`
	SRQN      uint32 `abi:"srqn"`
}

// DestroySRQ is struct ib_uverbs_destroy_srq, ib_user_verbs.h.
type DestroySRQ struct {
	Response  Pointer `abi:"response"`
	SRQHandle uint32  `abi:"srq_handle"`
	_         uint32
}

// DestroySRQResp is struct ib_uverbs_destroy_srq_resp, ib_user_verbs.h.
type DestroySRQResp struct {
	EventsReported uint32 `abi:"events_reported"`
}

// PostSend is struct ib_uverbs_post_send, ib_user_verbs.h.
type PostSend struct {
	Response Pointer `abi:"response"`
	QPHandle uint32  `abi:"qp_handle"`
	WRCount  uint32  `abi:"wr_count"`
	SGECount uint32  `abi:"sge_count"`
	WQESize  uint32  `abi:"wqe_size"`
}

// PostSendResp is struct ib_uverbs_post_send_resp, ib_user_verbs.h.
type PostSendResp struct {
	BadWR uint32 `abi:"bad_wr"`
}

// SizeofSendWR is the size of struct ib_uverbs_send_wr, ib_user_verbs.h: the
// least wqe_size that every kernel accepts in PostSend, even with no request in
// it (kernels before 1956f0a74ccf of 2026 took any).
const SizeofSendWR = 56

// WC is a completion, in rxe's queues too. struct ib_uverbs_wc, ib_user_verbs.h.
type WC struct {
	WRID         uint64 `abi:"wr_id"`
	Status       uint32 `abi:"status"`
	Opcode       uint32 `abi:"opcode"`
	VendorErr    uint32 `abi:"vendor_err"`
	ByteLen      uint32 `abi:"byte_len"`
	ImmData      uint32 `abi:"ex.imm_data"`
	QPNum        uint32 `abi:"qp_num"`
	SrcQP        uint32 `abi:"src_qp"`
	WCFlags      uint32 `abi:"wc_flags"`
	PkeyIndex    uint16 `abi:"pkey_index"`
	SLID         uint16 `abi:"slid"`
	SL           uint8  `abi:"sl"`
	DLIDPathBits uint8  `abi:"dlid_path_bits"`
	PortNum      uint8  `abi:"port_num"`
	_            uint8
}

// AsyncEventDesc is struct ib_uverbs_async_event_desc, ib_user_verbs.h.
type AsyncEventDesc struct {
	Element   uint64 `abi:"element"`
	EventType uint32 `abi:"event_type"`
	_         uint32
}
