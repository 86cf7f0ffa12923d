package verbstest

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

var memoryDefects = map[string]map[string]hooks{
	"several regions": {
		"none of them": {several: func(verbs.Backend, verbs.Handle, [][]byte, verbs.Access, []verbs.MR) (int, error) {
			return 0, nil
		}},
		"all or none": {several: func(b verbs.Backend, pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
			n, err := b.RegisterMRs(pd, mems, access, into)
			if err != nil {
				for _, mr := range into[:n] {
					err = errors.Join(err, b.DeregisterMR(mr.Handle))
				}
				return 0, err
			}
			return n, nil
		}},
		"one too many": {several: func(b verbs.Backend, pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
			n, err := b.RegisterMRs(pd, mems, access, into)
			if n > 0 {
				_, _ = b.RegisterMR(pd, mems[0], access)
			}
			return n, err
		}},
		"one for all": {several: func(b verbs.Backend, pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
			n, err := b.RegisterMRs(pd, mems, access, into)
			for i := range n {
				into[i] = into[0]
			}
			return n, err
		}},
	},
	"memory windows": {
		"all of the region": {bind: func(q verbs.QP, b verbs.Bind) (uint32, error) {
			b.Addr, b.Length = b.Addr-windowAt, areaSize
			return q.BindMW(b)
		}},
		"any access": {bind: func(q verbs.QP, b verbs.Bind) (uint32, error) {
			b.Access |= verbs.AccessRemoteRead
			return q.BindMW(b)
		}},
		"a byte too few": {bind: func(q verbs.QP, b verbs.Bind) (uint32, error) {
			b.Length--
			return q.BindMW(b)
		}},
		"the key before": {bind: func(q verbs.QP, b verbs.Bind) (uint32, error) {
			_, err := q.BindMW(b)
			return b.MW.RKey, err
		}},
		"regions go": {deregister: func(b verbs.Backend, mr verbs.Handle) error { return excused(b.DeregisterMR(mr), unix.EBUSY) }},
	},
	"memory windows of type 2": {
		"bound again": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) { // as of type 1: no key is taken
			return q.Post(slices.DeleteFunc(slices.Clone(wrs), func(w verbs.WR) bool { return w.Op == verbs.OpLocalInv }))
		}},
		"the key stays": {post: changed(func(w *verbs.WR) {
			if w.Op == verbs.OpSendInv {
				w.Op = verbs.OpSend
			}
		})},
		"any access": {bind: func(q verbs.QP, b verbs.Bind) (uint32, error) {
			b.Access |= verbs.AccessRemoteRead
			return q.BindMW(b)
		}},
		"all are of type 1": {alloc: func(b verbs.Backend, pd verbs.Handle, _ verbs.MWType) (verbs.MW, error) {
			return b.AllocMW(pd, verbs.MWType1)
		}},
		"regions stay": {deregister: func(b verbs.Backend, mr verbs.Handle) error { return unix.EBUSY }},
	},
	"re-registration": {
		"nothing is done": {reregister: func(b verbs.Backend, mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
			return verbs.MR{Handle: mr, LKey: uint32(mr), RKey: uint32(mr)}, nil
		}},
		"the access alone": {reregister: func(b verbs.Backend, mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
			if to.Mask &^= verbs.ReregMemory; to.Mask == 0 {
				return verbs.MR{Handle: mr, LKey: uint32(mr), RKey: uint32(mr)}, nil
			}
			return b.ReregisterMR(mr, to)
		}},
		"the access stays": {reregister: func(b verbs.Backend, mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
			if to.Mask == verbs.ReregAccess {
				return verbs.MR{Handle: mr, LKey: uint32(mr), RKey: uint32(mr)}, nil
			}
			to.Mask &^= verbs.ReregAccess
			return b.ReregisterMR(mr, to)
		}},
		"any access": {reregister: func(b verbs.Backend, mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
			to.Access |= all
			return b.ReregisterMR(mr, to)
		}},
		"the keys of before": {reregister: func(b verbs.Backend, mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
			now, err := b.ReregisterMR(mr, to)
			now.RKey = uint32(mr)
			return now, err
		}},
		"not by the device": {reregister: func(verbs.Backend, verbs.Handle, verbs.Rereg) (verbs.MR, error) {
			return verbs.MR{}, unix.EOPNOTSUPP
		}},
	},
}
