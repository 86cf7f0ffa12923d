package xdp

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// etherType is that of the packets: one for experiments (IEEE 802, local experimental EtherType 1). The
// kernel sends packets of its own on a netdev that is up.
const etherType = 0x88b5

// networkOrder is a number as it stands in a packet.
func networkOrder(n uint16) uint16 { return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)}) }

// newFrame has the header of a packet, and room for its payload. Nobody looks at the addresses.
func newFrame() []byte {
	frame := make([]byte, headerBytes, headerBytes+payloadBytes)
	binary.BigEndian.PutUint16(frame[headerBytes-2:], etherType)
	return frame
}

// Fields of struct xdp_md (include/uapi/linux/bpf.h), and what a program of XDP may answer.
const (
	fieldData    = 0
	fieldDataEnd = 4
	fieldQueue   = 16
	answerDrop   = 1
)

// passOn is a program that passes the packets on to the socket of their queue, and drops all others.
func passOn(sockets *ebpf.Map) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: "umemstress_xdp", Type: ebpf.XDP, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadMem(asm.R2, asm.R6, fieldData, asm.Word),
			asm.LoadMem(asm.R3, asm.R6, fieldDataEnd, asm.Word),
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, headerBytes),
			asm.JGT.Reg(asm.R4, asm.R3, "drop"),
			asm.LoadMem(asm.R5, asm.R2, headerBytes-2, asm.Half),
			asm.JNE.Imm(asm.R5, int32(networkOrder(etherType)), "drop"),
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.LoadMem(asm.R2, asm.R6, fieldQueue, asm.Word),
			asm.Mov.Imm(asm.R3, answerDrop), // where the queue has no socket
			asm.FnRedirectMap.Call(),
			asm.Return(),
			asm.Mov.Imm(asm.R0, answerDrop).WithSymbol("drop"),
			asm.Return(),
		},
	}
}
