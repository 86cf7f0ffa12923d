package verbs

// GRHBytes are in front of each datagram that is received, in the memory for it: the global route header of InfiniBand, or
// of RoCE v2 over IPv4 20 bytes of nothing and the header of IP. ByteLen counts them.
const GRHBytes = 40

// Datagram is where one request of a UD queue pair goes: member ud of
// struct ib_uverbs_send_wr. It has at most the bytes of a packet.
type Datagram struct {
	AH   Handle // of CreateAH
	QPN  uint32 // 24 bits
	QKey uint32 // that of the queue pair there, or it is dropped
}

// AH is the way to another port. struct ib_uverbs_qp_dest and ib_uverbs_ah_attr,
// ib_user_verbs.h; struct ibv_ah_attr, verbs.h.
type AH struct {
	DLID   uint16 // the other port's within its subnet; 0 on RoCE
	SL     uint8  // service level, 4 bits
	Port   uint8  // the local one
	Global bool   // what follows counts, as RoCE has it, and InfiniBand beyond a subnet

	DGID         [16]byte
	SGIDIndex    uint8 // in the port's table, whose further entries cannot be used
	HopLimit     uint8
	TrafficClass uint8

	// Of an address handle alone, for queues that have the whole way in each request: the address that SGIDIndex is of, and
	// of an Ethernet port the MAC of the other one, where that is known. The port's own MAC has a datagram stay in the device.
	SGID [16]byte
	DMAC [6]byte
}
