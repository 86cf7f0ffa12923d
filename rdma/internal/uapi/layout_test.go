package uapi

import (
	"path/filepath"
	"testing"

	"umemstress/rdma/abitest"
)

// structs names the C struct of every Go type. A type that is missing here is
// not checked, so TestEveryStructIsCompared counts them.
var structs = map[string]abitest.Struct{
	"struct ib_uverbs_cmd_hdr":                  {Is: CmdHdr{}},
	"struct ib_uverbs_get_context":              {Is: GetContext{}},
	"struct ib_uverbs_get_context_resp":         {Is: GetContextResp{}},
	"struct ib_uverbs_query_device":             {Is: QueryDevice{}},
	"struct ib_uverbs_query_device_resp":        {Is: QueryDeviceResp{}, Prefix: true},
	"struct ib_uverbs_query_port":               {Is: QueryPort{}},
	"struct ib_uverbs_query_port_resp":          {Is: QueryPortResp{}},
	"struct ib_uverbs_alloc_pd":                 {Is: AllocPD{}},
	"struct ib_uverbs_alloc_pd_resp":            {Is: AllocPDResp{}},
	"struct ib_uverbs_dealloc_pd":               {Is: DeallocPD{}},
	"struct ib_uverbs_reg_mr":                   {Is: RegMR{}},
	"struct ib_uverbs_reg_mr_resp":              {Is: RegMRResp{}},
	"struct ib_uverbs_rereg_mr":                 {Is: ReregMR{}},
	"struct ib_uverbs_rereg_mr_resp":            {Is: ReregMRResp{}},
	"struct ib_uverbs_dereg_mr":                 {Is: DeregMR{}},
	"struct ib_uverbs_ioctl_hdr":                {Is: IoctlHdr{}},
	"struct ib_uverbs_attr":                     {Is: Attr{}},
	"struct ib_uverbs_alloc_mw":                 {Is: AllocMW{}},
	"struct ib_uverbs_alloc_mw_resp":            {Is: AllocMWResp{}},
	"struct ib_uverbs_dealloc_mw":               {Is: DeallocMW{}},
	"struct ib_uverbs_create_comp_channel":      {Is: CreateCompChannel{}},
	"struct ib_uverbs_create_comp_channel_resp": {Is: CreateCompChannelResp{}},
	"struct ib_uverbs_req_notify_cq":            {Is: ReqNotifyCQ{}},
	"struct ib_uverbs_comp_event_desc":          {Is: CompEventDesc{}},
	"struct ib_uverbs_create_cq":                {Is: CreateCQ{}},
	"struct ib_uverbs_create_cq_resp":           {Is: CreateCQResp{}},
	"struct ib_uverbs_destroy_cq":               {Is: DestroyCQ{}},
	"struct ib_uverbs_destroy_cq_resp":          {Is: DestroyCQResp{}},
	"struct ib_uverbs_create_qp":                {Is: CreateQP{}},
	"struct ib_uverbs_create_qp_resp":           {Is: CreateQPResp{}},
	"struct ib_uverbs_qp_dest":                  {Is: QPDest{}},
	"struct ib_uverbs_modify_qp":                {Is: ModifyQP{}},
	"struct ib_uverbs_destroy_qp":               {Is: DestroyQP{}},
	"struct ib_uverbs_destroy_qp_resp":          {Is: DestroyQPResp{}},
	"struct ib_uverbs_create_srq":               {Is: CreateSRQ{}},
	"struct ib_uverbs_create_srq_resp":          {Is: CreateSRQResp{}},
	"struct ib_uverbs_destroy_srq":              {Is: DestroySRQ{}},
	"struct ib_uverbs_destroy_srq_resp":         {Is: DestroySRQResp{}},
	"struct rxe_create_srq_resp":                {Is: RxeCreateSRQResp{}},
	"struct ib_uverbs_post_send":                {Is: PostSend{}},
	"struct ib_uverbs_post_send_resp":           {Is: PostSendResp{}},
	"struct ib_uverbs_wc":                       {Is: WC{}},
	"struct ib_uverbs_async_event_desc":         {Is: AsyncEventDesc{}},
	"struct mminfo":                             {Is: MMInfo{}},
	"struct rxe_create_cq_resp":                 {Is: RxeCreateCQResp{}},
	"struct rxe_create_qp_resp":                 {Is: RxeCreateQPResp{}},
	"struct rxe_queue_buf":                      {Is: RxeQueueBuf{}},
	"struct rxe_sge":                            {Is: RxeSGE{}},
	"struct rxe_recv_wqe":                       {Is: RxeRecvWQE{}},
	"struct rxe_send_wr":                        {Is: RxeSendWR{}, Also: []any{RxeAtomicWR{}, RxeDatagramWR{}, RxeBindWR{}}},
	"struct rxe_av":                             {Is: RxeAV{}},
	"struct rxe_send_wqe":                       {Is: RxeSendWQE{}},
	"struct rxe_dma_info":                       {Is: RxeDMAInfo{}},
}

// values are the constants that stand in a uapi header.
var values = map[string]uint64{
	"IB_USER_VERBS_CMD_GET_CONTEXT":          CmdGetContext,
	"IB_USER_VERBS_CMD_QUERY_DEVICE":         CmdQueryDevice,
	"IB_USER_VERBS_CMD_QUERY_PORT":           CmdQueryPort,
	"IB_USER_VERBS_CMD_ALLOC_PD":             CmdAllocPD,
	"IB_USER_VERBS_CMD_DEALLOC_PD":           CmdDeallocPD,
	"IB_USER_VERBS_CMD_REG_MR":               CmdRegMR,
	"IB_USER_VERBS_CMD_REREG_MR":             CmdReregMR,
	"IB_USER_VERBS_CMD_DEREG_MR":             CmdDeregMR,
	"RDMA_VERBS_IOCTL":                       VerbsIoctl,
	"UVERBS_ATTR_F_MANDATORY":                AttrMandatory,
	"RDMA_DRIVER_RXE":                        DriverRxe,
	"UVERBS_OBJECT_MR":                       ObjectMR,
	"UVERBS_METHOD_REG_DMABUF_MR":            MethodRegDMABufMR,
	"UVERBS_ATTR_REG_DMABUF_MR_HANDLE":       RegDMABufMRHandle,
	"UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE":    RegDMABufMRPDHandle,
	"UVERBS_ATTR_REG_DMABUF_MR_OFFSET":       RegDMABufMROffset,
	"UVERBS_ATTR_REG_DMABUF_MR_LENGTH":       RegDMABufMRLength,
	"UVERBS_ATTR_REG_DMABUF_MR_IOVA":         RegDMABufMRIOVA,
	"UVERBS_ATTR_REG_DMABUF_MR_FD":           RegDMABufMRFD,
	"UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS": RegDMABufMRAccess,
	"UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY":    RegDMABufMRLKey,
	"UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY":    RegDMABufMRRKey,
	"IB_USER_VERBS_CMD_ALLOC_MW":             CmdAllocMW,
	"IB_USER_VERBS_CMD_DEALLOC_MW":           CmdDeallocMW,
	"IB_USER_VERBS_CMD_CREATE_CQ":            CmdCreateCQ,
	"IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL":  CmdCreateCompChannel,
	"IB_USER_VERBS_CMD_REQ_NOTIFY_CQ":        CmdReqNotifyCQ,
	"IB_USER_VERBS_CMD_DESTROY_CQ":           CmdDestroyCQ,
	"IB_USER_VERBS_CMD_CREATE_QP":            CmdCreateQP,
	"IB_USER_VERBS_CMD_MODIFY_QP":            CmdModifyQP,
	"IB_USER_VERBS_CMD_DESTROY_QP":           CmdDestroyQP,
	"IB_USER_VERBS_CMD_POST_SEND":            CmdPostSend,
	"IB_USER_VERBS_CMD_CREATE_SRQ":           CmdCreateSRQ,
	"IB_USER_VERBS_CMD_DESTROY_SRQ":          CmdDestroySRQ,
	"IB_UVERBS_WR_RDMA_WRITE":                WROpRDMAWrite,
	"IB_UVERBS_WR_SEND":                      WROpSend,
	"IB_UVERBS_WR_SEND_WITH_IMM":             WROpSendWithImm,
	"IB_UVERBS_WR_RDMA_WRITE_WITH_IMM":       WROpRDMAWriteWithImm,
	"IB_UVERBS_WR_RDMA_READ":                 WROpRDMARead,
	"IB_UVERBS_WR_ATOMIC_CMP_AND_SWP":        WROpAtomicCmpAndSwp,
	"IB_UVERBS_WR_ATOMIC_FETCH_AND_ADD":      WROpAtomicFetchAndAdd,
	"IB_UVERBS_WR_LOCAL_INV":                 WROpLocalInv,
	"IB_UVERBS_WR_BIND_MW":                   WROpBindMW,
	"IB_UVERBS_WR_SEND_WITH_INV":             WROpSendWithInv,
	"sizeof(struct ib_uverbs_send_wr)":       SizeofSendWR,
	"IB_UVERBS_ACCESS_LOCAL_WRITE":           AccessLocalWrite,
	"IB_UVERBS_ACCESS_REMOTE_WRITE":          AccessRemoteWrite,
	"IB_UVERBS_ACCESS_REMOTE_READ":           AccessRemoteRead,
	"IB_UVERBS_ACCESS_REMOTE_ATOMIC":         AccessRemoteAtomic,
	"IB_UVERBS_ACCESS_MW_BIND":               AccessMWBind,
	"IB_UVERBS_QPT_RC":                       QPTypeRC,
	"IB_UVERBS_QPT_UC":                       QPTypeUC,
	"IB_UVERBS_QPT_UD":                       QPTypeUD,
	"RXE_NETWORK_TYPE_IPV4":                  RxeNetworkTypeIPv4,
	"RXE_NETWORK_TYPE_IPV6":                  RxeNetworkTypeIPv6,
}

func TestLayoutMatchesKernelHeaders(t *testing.T) {
	headers := abitest.Headers{
		Include: []string{"rdma/ib_user_verbs.h", "rdma/ib_user_ioctl_verbs.h", "rdma/ib_user_ioctl_cmds.h", "rdma/rdma_user_ioctl_cmds.h", "rdma/rdma_user_rxe.h"},
		Package: "linux-libc-dev",
	}
	headers.Compare(t, structs, values)
}

func TestEveryStructIsCompared(t *testing.T) {
	source, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	const pointer = 1 // Pointer is a field type, no struct of its own
	if declared := abitest.Declared(t, source...); declared-pointer != abitest.Compared(structs) {
		t.Errorf("%d structs are declared and %d compared", declared-pointer, abitest.Compared(structs))
	}
}
