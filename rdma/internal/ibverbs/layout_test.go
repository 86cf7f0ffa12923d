package ibverbs

import (
	"testing"

	"umemstress/rdma/abitest"
	"umemstress/rdma/internal/verbs"
)

var structs = map[string]abitest.Struct{
	"struct ibv_device":        {Is: device{}, Prefix: true},
	"struct ibv_context":       {Is: context{}, Prefix: true},
	"struct ibv_device_attr":   {Is: deviceAttr{}, Prefix: true},
	"struct ibv_pd":            {Is: pd{}, Prefix: true},
	"struct ibv_mr":            {Is: mr{}},
	"struct ibv_mw":            {Is: mw{}},
	"struct ibv_mw_bind":       {Is: mwBind{}},
	"struct ibv_cq":            {Is: completionQueue{}, Prefix: true},
	"struct ibv_comp_channel":  {Is: compChannel{}},
	"struct ibv_ah":            {Is: addressHandle{}, Prefix: true},
	"struct ibv_srq":           {Is: sharedQueue{}, Prefix: true},
	"struct ibv_srq_init_attr": {Is: srqInitAttr{}},
	"struct ibv_qp":            {Is: queuePair{}, Prefix: true},
	"struct ibv_qp_cap":        {Is: qpCap{}},
	"struct ibv_qp_init_attr":  {Is: qpInitAttr{}},
	"struct ibv_ah_attr":       {Is: ahAttr{}},
	"struct ibv_qp_attr":       {Is: qpAttr{}},
	"struct ibv_sge":           {Is: sge{}},
	"struct ibv_send_wr":       {Is: sendWR{}, Also: []any{atomicWR{}, datagramWR{}, bindWR{}}},
	"struct ibv_recv_wr":       {Is: recvWR{}},
	"struct ibv_wc":            {Is: workCompletion{}},
	"struct ibv_port_attr":     {Is: portAttr{}, Prefix: true},
	"struct ibv_async_event":   {Is: asyncEvent{}},
}

// values are the constants of the header. The neutral ones of package verbs cross the ABI as they are.
var values = map[string]uint64{
	"IBV_EVENT_CQ_ERR":                uint64(verbs.EventCQError),
	"IBV_EVENT_QP_FATAL":              uint64(verbs.EventQPFatal),
	"IBV_EVENT_QP_REQ_ERR":            uint64(verbs.EventQPRequest),
	"IBV_EVENT_QP_ACCESS_ERR":         uint64(verbs.EventQPAccess),
	"IBV_EVENT_DEVICE_FATAL":          uint64(verbs.EventDeviceFatal),
	"IBV_EVENT_PORT_ACTIVE":           uint64(verbs.EventPortActive),
	"IBV_EVENT_PORT_ERR":              uint64(verbs.EventPortError),
	"IBV_EVENT_SRQ_ERR":               uint64(verbs.EventSRQError),
	"IBV_SEND_SIGNALED":               sendSignaled,
	"IBV_SEND_INLINE":                 sendInline,
	"IBV_WC_RDMA_READ":                wcRDMARead,
	"IBV_WC_RECV":                     wcRecv,
	"IBV_SYSFS_NAME_MAX":              nameBytes,
	"IBV_QPT_RC":                      uint64(verbs.RC),
	"IBV_QPT_UC":                      uint64(verbs.UC),
	"IBV_QPT_UD":                      uint64(verbs.UD),
	"IBV_QP_QKEY":                     uint64(verbs.AttrQKey),
	"IBV_WR_RDMA_WRITE":               uint64(verbs.OpWrite),
	"IBV_WR_RDMA_READ":                uint64(verbs.OpRead),
	"IBV_WR_ATOMIC_CMP_AND_SWP":       uint64(verbs.OpCompareSwap),
	"IBV_WR_ATOMIC_FETCH_AND_ADD":     uint64(verbs.OpFetchAdd),
	"IBV_WR_SEND":                     uint64(verbs.OpSend),
	"IBV_WR_SEND_WITH_IMM":            uint64(verbs.OpSendImm),
	"IBV_WR_RDMA_WRITE_WITH_IMM":      uint64(verbs.OpWriteImm),
	"IBV_WC_WITH_IMM":                 wcWithImm,
	"IBV_ACCESS_LOCAL_WRITE":          uint64(verbs.AccessLocalWrite),
	"IBV_ACCESS_REMOTE_WRITE":         uint64(verbs.AccessRemoteWrite),
	"IBV_ACCESS_REMOTE_READ":          uint64(verbs.AccessRemoteRead),
	"IBV_ACCESS_REMOTE_ATOMIC":        uint64(verbs.AccessRemoteAtomic),
	"IBV_ACCESS_MW_BIND":              uint64(verbs.AccessBindWindow),
	"IBV_MW_TYPE_1":                   uint64(verbs.MWType1),
	"IBV_MW_TYPE_2":                   uint64(verbs.MWType2),
	"IBV_WR_LOCAL_INV":                uint64(verbs.OpLocalInv),
	"IBV_WR_SEND_WITH_INV":            uint64(verbs.OpSendInv),
	"IBV_WR_BIND_MW":                  wrBindMW,
	"IBV_REREG_MR_CHANGE_TRANSLATION": uint64(verbs.ReregMemory),
	"IBV_REREG_MR_CHANGE_ACCESS":      uint64(verbs.ReregAccess),
	"IBV_QPS_RESET":                   uint64(verbs.Reset),
	"IBV_QPS_INIT":                    uint64(verbs.Init),
	"IBV_QPS_RTR":                     uint64(verbs.ReadyToRecv),
	"IBV_QPS_RTS":                     uint64(verbs.ReadyToSend),
	"IBV_QPS_ERR":                     uint64(verbs.ErrorState),
	"IBV_QP_STATE":                    uint64(verbs.AttrState),
	"IBV_QP_ACCESS_FLAGS":             uint64(verbs.AttrAccess),
	"IBV_QP_PKEY_INDEX":               uint64(verbs.AttrPKeyIndex),
	"IBV_QP_PORT":                     uint64(verbs.AttrPort),
	"IBV_QP_AV":                       uint64(verbs.AttrAH),
	"IBV_QP_PATH_MTU":                 uint64(verbs.AttrPathMTU),
	"IBV_QP_TIMEOUT":                  uint64(verbs.AttrTimeout),
	"IBV_QP_RETRY_CNT":                uint64(verbs.AttrRetryCount),
	"IBV_QP_RNR_RETRY":                uint64(verbs.AttrRNRRetry),
	"IBV_QP_RQ_PSN":                   uint64(verbs.AttrRQPSN),
	"IBV_QP_MAX_QP_RD_ATOMIC":         uint64(verbs.AttrMaxRDAtomic),
	"IBV_QP_MIN_RNR_TIMER":            uint64(verbs.AttrMinRNRTimer),
	"IBV_QP_SQ_PSN":                   uint64(verbs.AttrSQPSN),
	"IBV_QP_MAX_DEST_RD_ATOMIC":       uint64(verbs.AttrMaxDestRDAtomic),
	"IBV_QP_DEST_QPN":                 uint64(verbs.AttrDestQPN),
	"IBV_PORT_DOWN":                   uint64(verbs.PortDown),
	"IBV_PORT_ACTIVE":                 uint64(verbs.PortActive),
	"IBV_WC_SUCCESS":                  uint64(verbs.StatusSuccess),
	"IBV_WC_LOC_LEN_ERR":              uint64(verbs.StatusLocalLength),
	"IBV_WC_LOC_QP_OP_ERR":            uint64(verbs.StatusLocalOperation),
	"IBV_WC_LOC_EEC_OP_ERR":           uint64(verbs.StatusLocalEEContext),
	"IBV_WC_LOC_PROT_ERR":             uint64(verbs.StatusLocalProtection),
	"IBV_WC_WR_FLUSH_ERR":             uint64(verbs.StatusFlushed),
	"IBV_WC_MW_BIND_ERR":              uint64(verbs.StatusBind),
	"IBV_WC_BAD_RESP_ERR":             uint64(verbs.StatusBadResponse),
	"IBV_WC_LOC_ACCESS_ERR":           uint64(verbs.StatusLocalAccess),
	"IBV_WC_REM_INV_REQ_ERR":          uint64(verbs.StatusRemoteInvalid),
	"IBV_WC_REM_ACCESS_ERR":           uint64(verbs.StatusRemoteAccess),
	"IBV_WC_REM_OP_ERR":               uint64(verbs.StatusRemoteOperation),
	"IBV_WC_RETRY_EXC_ERR":            uint64(verbs.StatusRetryExceeded),
	"IBV_WC_RNR_RETRY_EXC_ERR":        uint64(verbs.StatusRNRExceeded),
	"IBV_WC_LOC_RDD_VIOL_ERR":         uint64(verbs.StatusLocalRDD),
	"IBV_WC_REM_INV_RD_REQ_ERR":       uint64(verbs.StatusRemoteRDInvalid),
	"IBV_WC_REM_ABORT_ERR":            uint64(verbs.StatusRemoteAborted),
	"IBV_WC_INV_EECN_ERR":             uint64(verbs.StatusInvalidEENumber),
	"IBV_WC_INV_EEC_STATE_ERR":        uint64(verbs.StatusInvalidEEState),
	"IBV_WC_FATAL_ERR":                uint64(verbs.StatusFatal),
	"IBV_WC_RESP_TIMEOUT_ERR":         uint64(verbs.StatusResponseTimeout),
	"IBV_WC_GENERAL_ERR":              uint64(verbs.StatusGeneral),
	"IBV_WC_TM_ERR":                   uint64(verbs.StatusTagMatching),
	"IBV_WC_TM_RNDV_INCOMPLETE":       uint64(verbs.StatusTagMatchingShort),
}

// managerStructs and managerValues are those of librdmacm's header.
var managerStructs = map[string]abitest.Struct{
	"struct rdma_event_channel": {Is: eventChannel{}},
	"struct rdma_cm_id":         {Is: cmID{}, Prefix: true},
	"struct rdma_conn_param":    {Is: connParam{}},
	"struct rdma_cm_event":      {Is: cmEvent{}},
}

var managerValues = map[string]uint64{
	"RDMA_PS_TCP":        portSpaceTCP,
	"RDMA_OPTION_ID":     optionID,
	"RDMA_OPTION_ID_TOS": optionIDTOS,
	cmEventNames[0]:      cmAddrResolved,
	cmEventNames[1]:      1,
	cmEventNames[2]:      cmRouteResolved,
	cmEventNames[3]:      3,
	cmEventNames[4]:      cmConnectRequest,
	cmEventNames[5]:      cmConnectResponse,
	cmEventNames[6]:      6,
	cmEventNames[7]:      7,
	cmEventNames[8]:      cmRejected,
	cmEventNames[9]:      cmEstablished,
	cmEventNames[10]:     10,
	cmEventNames[11]:     11,
}

func TestManagerLayoutMatchesHeader(t *testing.T) {
	abitest.Headers{Include: []string{"rdma/rdma_cma.h"}, Package: "librdmacm-dev"}.Compare(t, managerStructs, managerValues)
}

func TestLayoutMatchesHeader(t *testing.T) {
	abitest.Headers{Include: []string{"infiniband/verbs.h"}, Package: "libibverbs-dev"}.Compare(t, structs, values)
}

func TestEveryStructIsCompared(t *testing.T) {
	for file, compared := range map[string]map[string]abitest.Struct{"verbs_h.go": structs, "rdma_cma_h.go": managerStructs} {
		if declared := abitest.Declared(t, file); declared != abitest.Compared(compared) {
			t.Errorf("%s: %d structs are declared and %d compared", file, declared, abitest.Compared(compared))
		}
	}
}
