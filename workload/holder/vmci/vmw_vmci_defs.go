package vmci

import "fmt"

// What follows is what a VMX, the process of a virtual machine, hands to /dev/vmci. It is no
// uapi of the kernel, so that no header is installed to hold it against:
// include/linux/vmw_vmci_defs.h, drivers/misc/vmw_vmci/vmci_queue_pair.h, vmci_datagram.h and
// vmci_host.c have it, alike from 5.10 to 7.2.

// Requests of the device: _IO(7, number), whose argument is a structure all the same.
const (
	ioctlInitContext     = 7<<8 | 0xa0
	ioctlVersion2        = 7<<8 | 0xa7
	ioctlQueuePairAlloc  = 7<<8 | 0xa8
	ioctlQueuePairDetach = 7<<8 | 0xaa
	ioctlDatagramSend    = 7<<8 | 0xab
	ioctlDatagramReceive = 7<<8 | 0xac
)

// versionNoVMVM (VMCI_VERSION_NOVMVM) is of those who give the memory of a queue pair when
// they allocate it.
const versionNoVMVM = 11 << 16

// Contexts and resources.
const (
	hostContext   = 2          // VMCI_HOST_CONTEXT_ID: the kernel itself
	firstContext  = 16         // VMCI_RESERVED_CID_LIMIT: of a virtual machine
	anyPeer       = ^uint32(0) // VMCI_INVALID_ID
	firstResource = 1024       // above VMCI_RESERVED_RESOURCE_ID_MAX
)

// handle is struct vmci_handle.
type handle struct{ Context, Resource uint32 }

// initBlock is struct vmci_init_blk (vmci_host.c). The kernel answers with the context.
type initBlock struct{ Context, Flags uint32 }

// allocInfo is struct vmci_qp_alloc_info. The memory begins with a page for the header of the
// produce queue and its data, and goes on with those of the consume queue.
type allocInfo struct {
	Handle      handle
	Peer, Flags uint32
	ProduceSize uint64 // bytes of data
	ConsumeSize uint64
	Address     uint64 // of the memory: ppn_va
	Pages       uint64 // of the memory
	Result      int32
	Version     uint32
}

// detachInfo is struct vmci_qp_dtch_info.
type detachInfo struct {
	Handle handle
	Result int32
	_      uint32
}

// datagramInfo is struct vmci_datagram_snd_rcv_info.
type datagramInfo struct {
	Address uint64
	Length  uint32
	Result  int32
}

// consumerHead is where struct vmci_queue_header of the queue that we produce into has our
// place in the one that we consume: consumer_head.
const consumerHead = 16

// status is what the kernel answers within a structure; negative: VMCI_ERROR_….
type status int32

const (
	errorInvalidResource = status(-1) // VMCI_ERROR_INVALID_RESOURCE
	errorNoMemory        = status(-3) // VMCI_ERROR_NO_MEM
	errorNoMoreDatagrams = status(-6) // VMCI_ERROR_NO_MORE_DATAGRAMS
)

var statusNames = map[status]string{
	errorInvalidResource: "VMCI_ERROR_INVALID_RESOURCE", -2: "VMCI_ERROR_INVALID_ARGS",
	errorNoMemory: "VMCI_ERROR_NO_MEM", errorNoMoreDatagrams: "VMCI_ERROR_NO_MORE_DATAGRAMS",
	-7: "VMCI_ERROR_NO_ACCESS", -10: "VMCI_ERROR_DST_UNREACHABLE", -19: "VMCI_ERROR_NO_RESOURCES",
	-20: "VMCI_ERROR_UNAVAILABLE", -21: "VMCI_ERROR_NOT_FOUND", -22: "VMCI_ERROR_ALREADY_EXISTS",
	-31: "VMCI_ERROR_QUEUEPAIR_MISMATCH",
}

func (s status) Error() string {
	if name, known := statusNames[s]; known {
		return fmt.Sprintf("%s (%d)", name, int32(s))
	}
	return fmt.Sprintf("VMCI status %d", int32(s))
}

// failure is nil for what is no error.
func (s status) failure() error {
	if s >= 0 {
		return nil
	}
	return s
}

// packet is struct vmci_transport_packet, behind its struct vmci_datagram
// (net/vmw_vsock/vmci_transport.h): what makes and ends a connection of AF_VSOCK.
type packet struct {
	To, From handle
	Payload  uint64 // bytes behind these
	Version  uint8
	Type     uint8
	Protocol uint16
	FromPort uint32
	ToPort   uint32
	_        uint32
	Size     uint64 // of REQUEST and NEGOTIATE; of OFFER and ATTACH the handle, its context first
	_        uint64
}

const (
	datagramHeader  = 24
	packetBytes     = datagramHeader + 32
	packetVersion   = 1 // VMCI_TRANSPORT_PACKET_VERSION
	packetsResource = 1 // VMCI_TRANSPORT_PACKET_RID
)

// Types of packets (enum vmci_transport_packet_type).
const (
	packetRequest   = 1
	packetNegotiate = 2
	packetOffer     = 3
	packetAttach    = 4
	packetReset     = 7
)

// number is the handle as a packet has it, on a little-endian machine.
func (h handle) number() uint64 { return uint64(h.Resource)<<32 | uint64(h.Context) }
