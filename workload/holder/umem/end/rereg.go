package end

import (
	"errors"
	"fmt"
	"os"

	"umemstress/rdma"
	"umemstress/workload/internal/memory"
)

// How the target's region is re-registered.
const (
	// ReregAccess: it is registered for reading alone, and given the access that writing takes before anything is written.
	ReregAccess = "access"
	// ReregMemory: its memory is, between two writes, so that the pages are unpinned and pinned anew.
	ReregMemory = "memory"
)

// register registers this end's region, as it is to be re-registered.
func (e *End) register(mapping []byte, n int) error {
	if e.config.Side == Target && e.config.Rereg == ReregAccess {
		if err := e.mine.register(e.pd, mapping, n, rdma.AccessRemoteRead); err != nil {
			return err
		}
		return e.mine.changeAccess(e.access())
	}
	if e.config.Side == Target && e.config.Rereg == ReregMemory {
		if err := e.tryRereg(); err != nil { // before anything is written that a run without it would lose
			return err
		}
	}
	return e.mine.register(e.pd, mapping, n, e.access())
}

// tryRereg re-registers a page of no file.
func (e *End) tryRereg() (err error) {
	page, err := memory.MapAnonymous(os.Getpagesize())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, page.Close()) }()
	mr, err := e.pd.RegisterMR(page.Bytes, rdma.AccessLocalWrite)
	if err != nil {
		return err
	}
	return errors.Join(mr.ChangeMemory(page.Bytes), mr.Close())
}

// Reregister registers the memory of this end's region anew, while nothing is under way. The other end is to be told what
// it returns by Renew.
func (e *End) Reregister(mapping []byte) (Region, error) {
	err := e.mine.changeMemory(mapping)
	return e.mine.region(), err
}

// Renew tells the other end's region again, whose keys have changed.
func (e *End) Renew(theirs Region) error {
	if theirs.PieceBytes != e.theirs.PieceBytes || len(theirs.Pieces) != len(e.theirs.Pieces) {
		return fmt.Errorf("%d regions of %d bytes cannot have become %d of %d", len(e.theirs.Pieces), e.theirs.PieceBytes, len(theirs.Pieces), theirs.PieceBytes)
	}
	e.theirs = theirs
	return nil
}

func (p *pieces) changeAccess(access rdma.Access) error {
	for _, mr := range p.mrs {
		if err := mr.ChangeAccess(access); err != nil {
			return err
		}
	}
	return nil
}

func (p *pieces) changeMemory(mapping []byte) error {
	for i, mr := range p.mrs {
		if err := mr.ChangeMemory(mapping[int64(i)*p.bytes:][:p.bytes]); err != nil {
			return err
		}
	}
	return nil
}
