package ibverbs

// The structs of rdma/rdma_cma.h, as those of verbs_h.go are.

// enum rdma_port_space: a port of its own for connections.
const portSpaceTCP = 0x0106

// enum rdma_cm_event_type
const (
	cmAddrResolved    = 0
	cmRouteResolved   = 2
	cmConnectRequest  = 4
	cmConnectResponse = 5
	cmRejected        = 8
	cmEstablished     = 9
)

// Of rdma_set_option.
const (
	optionID    = 0 // RDMA_OPTION_ID
	optionIDTOS = 0 // RDMA_OPTION_ID_TOS
)

// struct rdma_event_channel
type eventChannel struct {
	FD int32 `abi:"fd"`
}

// struct rdma_cm_id, to its last member that is used.
type cmID struct {
	Verbs   uintptr `abi:"verbs"`
	Channel uintptr `abi:"channel"`
	_       [332]byte
	PortNum uint8 `abi:"port_num"`
}

// struct rdma_conn_param
type connParam struct {
	PrivateData        uintptr `abi:"private_data"`
	PrivateDataLen     uint8   `abi:"private_data_len"`
	ResponderResources uint8   `abi:"responder_resources"`
	InitiatorDepth     uint8   `abi:"initiator_depth"`
	FlowControl        uint8   `abi:"flow_control"`
	RetryCount         uint8   `abi:"retry_count"`
	RNRRetryCount      uint8   `abi:"rnr_retry_count"`
	SRQ                uint8   `abi:"srq"`
	_                  uint8
	QPNum              uint32 `abi:"qp_num"`
	_                  uint32
}

// struct rdma_cm_event, of whose union param the member conn is used.
type cmEvent struct {
	ID     uintptr `abi:"id"`
	_      [8]byte
	Event  uint32    `abi:"event"`
	Status int32     `abi:"status"`
	Conn   connParam `abi:"param.conn"`
	_      [32]byte
}
