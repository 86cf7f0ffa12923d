package rdma

import (
	"net"
	"net/netip"

	"umemstress/rdma/internal/verbs"
)

// GRHBytes are in front of each message that a queue pair of type [UD] receives, in the memory for it.
const GRHBytes = verbs.GRHBytes

// qKey is that of all queue pairs of type UD, and perftest's.
const qKey = 0x11111111

// datagramSteps are the changes of a queue pair that is connected with none.
func datagramSteps(init verbs.QPAttr, psn uint32) []verbs.QPAttr {
	init.Mask = init.Mask&^verbs.AttrAccess | verbs.AttrQKey
	init.Access, init.QKey = 0, qKey
	return []verbs.QPAttr{
		init,
		{Mask: verbs.AttrState, State: verbs.ReadyToRecv},
		{Mask: verbs.AttrState | verbs.AttrSQPSN, State: verbs.ReadyToSend, SQPSN: psn},
	}
}

// sendTo has datagrams go to one queue pair alone, as if there were a connection. The lock of the queue pair is the caller's.
func (qp *QP) sendTo(qpn uint32, way verbs.AH) error {
	backend := qp.object.ctx.backend
	ah, err := backend.CreateAH(qp.domain, way)
	if err != nil {
		return err
	}
	before := qp.to
	qp.to = &verbs.Datagram{AH: ah, QPN: qpn, QKey: qKey}
	if before != nil {
		return backend.DestroyAH(before.AH)
	}
	return nil
}

// sourceOf is the address that a way begins at, and the MAC that it goes to where that is the port's own: it then stays
// within the device, as rdma_rxe knows by the MAC.
func sourceOf(path Path, to netip.Addr) (gid [16]byte, mac [6]byte) {
	if !path.GID.Addr.IsValid() {
		return gid, mac
	}
	if gid = path.GID.Addr.As16(); to == path.GID.Addr {
		mac = ownMAC(path)
	}
	return gid, mac
}

// ownMAC is that of the port's netdev; zero where it has none.
func ownMAC(path Path) (mac [6]byte) {
	if netdev, err := net.InterfaceByName(path.GID.NetDev); err == nil {
		copy(mac[:], netdev.HardwareAddr)
	}
	return mac
}
