package rxe

import (
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// Pieces are the local memory of a request, in the order of its bytes.
type Pieces []verbs.SGE

func (p Pieces) length() (n uint32) {
	for i := range p {
		n += p[i].Length
	}
	return n
}

// list writes them as SGEs.
func (p Pieces) list(behind []byte) {
	sges := sgesOf(behind)
	for i := range p {
		sges[i] = uapi.RxeSGE{Addr: p[i].Addr, Length: p[i].Length, LKey: p[i].LKey}
	}
}

// carry writes their bytes.
func (p Pieces) carry(behind []byte) {
	for i := range p {
		behind = behind[copy(behind, bytesAt(p[i].Addr, p[i].Length)):]
	}
}
