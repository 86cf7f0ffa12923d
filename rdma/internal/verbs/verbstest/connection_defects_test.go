package verbstest

import (
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

var connectionDefects = map[string]map[string]hooks{
	"shared receives": {
		"the last memory first": {share: func(q verbs.SRQ, wrs []verbs.ReceiveWR) (int, error) {
			wrs = slices.Clone(wrs)
			slices.Reverse(wrs)
			return q.PostReceives(wrs)
		}},
		"the first piece alone": {share: func(q verbs.SRQ, wrs []verbs.ReceiveWR) (int, error) {
			wrs = slices.Clone(wrs)
			for i := range wrs {
				wrs[i].SGEs = wrs[i].SGEs[:1]
			}
			return q.PostReceives(wrs)
		}},
		"told as one queue pair's": {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.QPN = 1 }) })},
	},
	"shared receives in use": {
		"its users are ignored": {destroySRQ: func(q verbs.SRQ) error { return excused(q.Destroy(), unix.EBUSY) }},
		"receives of its own":   {receive: func(verbs.QP, []verbs.ReceiveWR) (int, error) { return 1, nil }},
		"says that all fit": {share: func(q verbs.SRQ, wrs []verbs.ReceiveWR) (int, error) {
			_, err := q.PostReceives(wrs)
			return len(wrs), err
		}},
	},
	"unreliable connection": {
		"a read is a write": {post: changed(func(w *verbs.WR) {
			if w.Op == verbs.OpRead {
				w.Op = verbs.OpWrite
			}
		})},
		"only the first packet": {post: changed(func(w *verbs.WR) { w.SGEs[0].Length = min(w.SGEs[0].Length, 4096) })},
		"no immediates": {poll: polled(func(wc []verbs.Completion) int {
			return each(wc, func(c *verbs.Completion) { c.WithImm, c.Imm = false, 0 })
		})},
	},
	"dropped": {
		"told as failed": {poll: polled(func(wc []verbs.Completion) int {
			return each(wc, func(c *verbs.Completion) {
				if c.ID == 1 {
					c.Status = verbs.StatusRemoteAccess
				}
			})
		})},
		"what is behind it, too": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			if len(wrs) == 1 {
				return 1, nil
			}
			return q.Post(wrs)
		}},
		"anywhere": {registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
			mr, err := b.RegisterMR(pd, mem, a)
			mr.RKey ^= 0xff00
			return mr, err
		}},
	},
	"datagrams": {
		"all to one": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			wrs = slices.Clone(wrs)
			for i := range wrs {
				if wrs[i].To != nil {
					wrs[i].To = wrs[0].To
				}
			}
			return q.Post(wrs)
		}},
		"any key": {post: changed(func(w *verbs.WR) {
			if w.To != nil {
				w.To.QKey = qKey
			}
		})},
		"no header": {poll: polled(func(wc []verbs.Completion) int {
			return each(wc, func(c *verbs.Completion) { c.ByteLen -= min(c.ByteLen, verbs.GRHBytes) })
		})},
		"a write is a message": {post: changed(func(w *verbs.WR) {
			if w.Op == verbs.OpWrite {
				w.Op = verbs.OpSend
			}
		})},
	},
}
