package uapi

// IoctlHdr starts a request of the ioctl ABI, which its attributes follow. struct ib_uverbs_ioctl_hdr, rdma_user_ioctl_cmds.h.
type IoctlHdr struct {
	Length   uint16 `abi:"length"` // bytes, with the attributes
	ObjectID uint16 `abi:"object_id"`
	MethodID uint16 `abi:"method_id"`
	NumAttrs uint16 `abi:"num_attrs"`
	_        uint64
	DriverID uint32 `abi:"driver_id"`
	_        uint32
}

// Attr is an attribute. struct ib_uverbs_attr, rdma_user_ioctl_cmds.h.
type Attr struct {
	AttrID uint16 `abi:"attr_id"`
	Len    uint16 `abi:"len"` // of what Data is, or points to
	Flags  uint16 `abi:"flags"`
	_      uint16
	Data   uint64 `abi:"data"`
}

// VerbsIoctl is the one ioctl. RDMA_VERBS_IOCTL, rdma_user_ioctl_cmds.h.
const VerbsIoctl = 0xc0181b01

// AttrMandatory has a kernel that does not know the attribute refuse the request. rdma_user_ioctl_cmds.h.
const AttrMandatory = 1 << 0

// DriverRxe is that of rdma_rxe. enum rdma_driver_id, ib_user_ioctl_verbs.h.
const DriverRxe = 14

// A method of an object, and its attributes. enum uverbs_default_objects, uverbs_methods_mr and
// uverbs_attrs_reg_dmabuf_mr_cmd_attr_ids, ib_user_ioctl_cmds.h.
const (
	ObjectMR          = 7
	MethodRegDMABufMR = 4

	RegDMABufMRHandle   = 0
	RegDMABufMRPDHandle = 1
	RegDMABufMROffset   = 2
	RegDMABufMRLength   = 3
	RegDMABufMRIOVA     = 4
	RegDMABufMRFD       = 5
	RegDMABufMRAccess   = 6
	RegDMABufMRLKey     = 7
	RegDMABufMRRKey     = 8
)
