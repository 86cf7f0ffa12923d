package end

import (
	"slices"

	"umemstress/rdma"
)

// VerbWrite is the verb of who chooses none.
const VerbWrite = "write"

// A verb is how messages are carried.
type verb struct {
	name     string
	arrival  string // as in "bytes that arrive by ..."
	op       rdma.Op
	access   rdma.Access // that the device has to the regions, no more than it takes
	receives bool        // each takes a receive of who has the target
	imm      bool        // it has an immediate, which that one finds in a completion
	atomic   bool        // a message is a number, which is brought by changing the one that is there
}

const (
	local  = rdma.AccessLocalWrite
	remote = local | rdma.AccessRemoteWrite
)

// carriers are all of them. A read is made by who has the target; what is sent is received into it.
var carriers = []verb{
	{name: VerbWrite, arrival: "RDMA WRITE", op: rdma.OpWrite, access: remote},
	{name: "read", arrival: "RDMA READ", op: rdma.OpRead, access: remote | rdma.AccessRemoteRead},
	{name: "send", arrival: "RDMA SEND", op: rdma.OpSend, access: local, receives: true},
	{name: "write-imm", arrival: "RDMA WRITE", op: rdma.OpWriteImm, access: remote, receives: true, imm: true},
	{name: "send-imm", arrival: "RDMA SEND", op: rdma.OpSendImm, access: local, receives: true, imm: true},
	{name: "cas", arrival: "RDMA atomic operations", op: rdma.OpCompareSwap, access: remote | rdma.AccessRemoteAtomic, atomic: true},
	{name: "fadd", arrival: "RDMA atomic operations", op: rdma.OpFetchAdd, access: remote | rdma.AccessRemoteAtomic, atomic: true},
}

// transports are those of queue pairs.
var transports = []rdma.QPType{rdma.RC, rdma.UC, rdma.UD}

// ConnectionRC is the connection of who chooses none.
const ConnectionRC = "RC"

// Datagrams says whether messages over a connection have at most the bytes of a packet.
func Datagrams(connection string) bool { return transportNamed(connection) == rdma.UD }

// Connections are the names of all.
func Connections() (names []string) {
	for _, t := range transports {
		names = append(names, t.String())
	}
	return names
}

// transportNamed is rdma.RC of a name that is none.
func transportNamed(name string) rdma.QPType {
	at := slices.IndexFunc(transports, func(t rdma.QPType) bool { return t.String() == name })
	return transports[max(at, 0)]
}

func (c Config) transport() rdma.QPType { return transportNamed(c.Connection) }

// Carries says whether a connection has a verb.
func Carries(connection, verb string) bool {
	return transportNamed(connection).Does(verbNamed(verb).op)
}

// Reliable says whether a connection repeats what is lost.
func Reliable(connection string) bool { return transportNamed(connection).Reliable() }

// Received says whether a verb has a receive for each message.
func Received(verb string) bool { return verbNamed(verb).receives }

// Verbs are the names of all.
func Verbs() (names []string) {
	for _, v := range carriers {
		names = append(names, v.name)
	}
	return names
}

// verbNamed is VerbWrite of a name that is none.
func verbNamed(name string) verb {
	at := slices.IndexFunc(carriers, func(v verb) bool { return v.name == name })
	return carriers[max(at, 0)]
}

// Atomic says whether a verb changes numbers, of rdma.AtomicBytes each.
func Atomic(verb string) bool { return verbNamed(verb).atomic }

// Keyed says whether a verb has who sends name a key to the target's region.
func Keyed(verb string) bool {
	v := verbNamed(verb)
	return v.op != rdma.OpRead && v.access&(rdma.AccessRemoteWrite|rdma.AccessRemoteAtomic) != 0
}

// Sends says whether a verb has who has the bytes send them, as they are.
func Sends(verb string) bool { return verbNamed(verb).sends() }

func (v verb) sends() bool { return v.op != rdma.OpRead && !v.atomic }

// Arrival says how bytes arrive that a verb carries, as in "bytes that arrive by ...".
func Arrival(verb string) string { return verbNamed(verb).arrival }
