package verbs

// Access says what may be done to memory. enum ib_uverbs_access_flags,
// ib_user_ioctl_verbs.h. The owner may always read.
type Access uint32

// Access flags.
const (
	AccessLocalWrite   Access = 1 << 0
	AccessRemoteWrite  Access = 1 << 1
	AccessRemoteRead   Access = 1 << 2
	AccessRemoteAtomic Access = 1 << 3
	AccessBindWindow   Access = 1 << 4 // windows may be bound to it
	AccessOnDemand     Access = 1 << 6
)

// QPType is the transport of a queue pair. enum ib_uverbs_qp_type,
// ib_user_ioctl_verbs.h.
type QPType uint8

// Queue pair types.
const (
	RC QPType = 2 // reliable connection
	UC QPType = 3 // unreliable connection
	UD QPType = 4 // unreliable datagram
)

// Does says whether a transport carries an operation (InfiniBand Architecture Specification, volume 1,
// table 38): what is answered takes a reliable one.
func (t QPType) Does(op Op) bool {
	switch t {
	case UC:
		return op != OpRead && !op.Atomic()
	case UD:
		return op == OpSend || op == OpSendImm
	}
	return true
}

// QPState is a queue pair's state. enum ib_qp_state, ib_verbs.h.
type QPState uint8

// Queue pair states, in the order of a connection.
const (
	Reset       QPState = 0
	Init        QPState = 1
	ReadyToRecv QPState = 2 // RTR
	ReadyToSend QPState = 3 // RTS
	ErrorState  QPState = 6 // ERR: every request is flushed
)

// AttrMask names attributes of a QPAttr. enum ib_qp_attr_mask, ib_verbs.h.
type AttrMask uint32

// Attributes.
const (
	AttrState           AttrMask = 1 << 0
	AttrAccess          AttrMask = 1 << 3
	AttrPKeyIndex       AttrMask = 1 << 4
	AttrPort            AttrMask = 1 << 5
	AttrQKey            AttrMask = 1 << 6
	AttrAH              AttrMask = 1 << 7
	AttrPathMTU         AttrMask = 1 << 8
	AttrTimeout         AttrMask = 1 << 9
	AttrRetryCount      AttrMask = 1 << 10
	AttrRNRRetry        AttrMask = 1 << 11
	AttrRQPSN           AttrMask = 1 << 12
	AttrMaxRDAtomic     AttrMask = 1 << 13
	AttrMinRNRTimer     AttrMask = 1 << 15
	AttrSQPSN           AttrMask = 1 << 16
	AttrMaxDestRDAtomic AttrMask = 1 << 17
	AttrDestQPN         AttrMask = 1 << 20
)

// Op is what a request does. enum ib_uverbs_wr_opcode, ib_user_verbs.h.
type Op uint32

// Operations. A backend that does not do one refuses it with EOPNOTSUPP.
const (
	OpWrite       Op = 0
	OpWriteImm    Op = 1
	OpSend        Op = 2
	OpSendImm     Op = 3
	OpRead        Op = 4
	OpCompareSwap Op = 5
	OpFetchAdd    Op = 6
	OpLocalInv    Op = 7
	opBind        Op = 8 // which has a method of its own
	OpSendInv     Op = 9
)

// PortState is a port's logical state. enum ib_port_state, ib_verbs.h.
type PortState uint8

// States of a port. Traffic needs PortActive.
const (
	PortDown   PortState = 1
	PortInit   PortState = 2
	PortArmed  PortState = 3
	PortActive PortState = 4
)

// Status is the outcome of a request. enum ib_wc_status, ib_verbs.h.
type Status uint32

// Outcomes.
const (
	StatusSuccess          Status = 0
	StatusLocalLength      Status = 1
	StatusLocalOperation   Status = 2
	StatusLocalEEContext   Status = 3
	StatusLocalProtection  Status = 4
	StatusFlushed          Status = 5
	StatusBind             Status = 6
	StatusBadResponse      Status = 7
	StatusLocalAccess      Status = 8
	StatusRemoteInvalid    Status = 9
	StatusRemoteAccess     Status = 10
	StatusRemoteOperation  Status = 11
	StatusRetryExceeded    Status = 12
	StatusRNRExceeded      Status = 13
	StatusLocalRDD         Status = 14
	StatusRemoteRDInvalid  Status = 15
	StatusRemoteAborted    Status = 16
	StatusInvalidEENumber  Status = 17
	StatusInvalidEEState   Status = 18
	StatusFatal            Status = 19
	StatusResponseTimeout  Status = 20
	StatusGeneral          Status = 21
	StatusTagMatching      Status = 22 // ibv_wc_status alone, as the next one
	StatusTagMatchingShort Status = 23
)

// MTU is a code for a number of bytes. enum ib_mtu, ib_verbs.h.
type MTU uint8

const maxMTU MTU = 5 // 4096 bytes

// MTUOf is the code for a number of bytes: 256, 512, 1024, 2048 or 4096.
func MTUOf(bytes int) (_ MTU, ok bool) {
	for code := MTU(1); code <= maxMTU; code++ {
		if code.Bytes() == bytes {
			return code, true
		}
	}
	return 0, false
}

// Bytes is 0 for a code that is none.
func (m MTU) Bytes() int {
	if m < 1 || m > maxMTU {
		return 0
	}
	return 128 << m
}
