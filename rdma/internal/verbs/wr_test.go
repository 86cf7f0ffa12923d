package verbs

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlain(t *testing.T) {
	good := WR{Op: OpWrite, SGEs: []SGE{{Length: 1}}}
	for what, c := range map[string]struct {
		change func(*WR)
		want   error
	}{
		"write":         {func(*WR) {}, nil},
		"read":          {func(w *WR) { w.Op = OpRead }, nil},
		"send":          {func(w *WR) { w.Op = OpSend }, nil},
		"immediate":     {func(w *WR) { w.Op = OpWriteImm }, nil},
		"atomic":        {func(w *WR) { w.Op, w.SGEs = OpFetchAdd, []SGE{{Length: 8}} }, nil},
		"atomic of 4":   {func(w *WR) { w.Op, w.SGEs = OpCompareSwap, []SGE{{Length: 4}} }, unix.EINVAL},
		"not aligned":   {func(w *WR) { w.Op, w.SGEs, w.Remote.Addr = OpCompareSwap, []SGE{{Length: 8}}, 4 }, unix.EINVAL},
		"the next":      {func(w *WR) { w.Op = OpSendInv + 1 }, unix.EOPNOTSUPP},
		"a binding":     {func(w *WR) { w.Op = opBind }, unix.EOPNOTSUPP},
		"a key here":    {func(w *WR) { w.Op, w.SGEs = OpLocalInv, nil }, nil},
		"with memory":   {func(w *WR) { w.Op = OpLocalInv }, unix.EINVAL},
		"a key there":   {func(w *WR) { w.Op = OpSendInv }, nil},
		"of no message": {func(w *WR) { w.Op, w.SGEs = OpSendInv, nil }, unix.EINVAL},
		"datagram":      {func(w *WR) { w.To = &Datagram{} }, unix.EOPNOTSUPP},
		"no memory":     {func(w *WR) { w.SGEs = nil }, unix.EINVAL},
		"two memories":  {func(w *WR) { w.SGEs = make([]SGE, 2) }, nil},
		"three":         {func(w *WR) { w.SGEs = make([]SGE, 3) }, unix.EINVAL},
		"two numbers":   {func(w *WR) { w.Op, w.SGEs = OpFetchAdd, []SGE{{Length: 8}, {Length: 8}} }, unix.EINVAL},
		"inline":        {func(w *WR) { w.Inline, w.SGEs = true, []SGE{{Length: 60}, {Length: 4}} }, nil},
		"a byte more":   {func(w *WR) { w.Inline, w.SGEs = true, []SGE{{Length: 60}, {Length: 5}} }, unix.EINVAL},
		"inline read":   {func(w *WR) { w.Inline, w.Op = true, OpRead }, unix.EINVAL},
		"inline number": {func(w *WR) { w.Inline, w.Op, w.SGEs = true, OpFetchAdd, []SGE{{Length: 8}} }, unix.EINVAL},
		"sum of 32 bit": {func(w *WR) { w.Inline, w.SGEs = true, []SGE{{Length: 1<<32 - 1}, {Length: 1}} }, unix.EINVAL},
		"no such thing": {func(w *WR) { w.Op = 1 << 31 }, unix.EOPNOTSUPP},
	} {
		w := good
		c.change(&w)
		if err := w.Plain(Limits{SGEs: 2, Inline: 64}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	for op := OpWrite; op <= OpFetchAdd; op++ {
		w := WR{Op: op, SGEs: []SGE{{Length: AtomicBytes}}}
		want := error(nil)
		if op == OpRead || op.Atomic() {
			want = unix.EINVAL
		}
		if err := w.Plain(Limits{Type: UC, SGEs: 1}); !errors.Is(err, want) {
			t.Errorf("operation %d on an unreliable connection: %v, want %v", op, err, want)
		}
		want = unix.EINVAL
		if op == OpSend || op == OpSendImm {
			want = nil
		}
		w.To = &Datagram{}
		if err := w.Plain(Limits{Type: UD, SGEs: 1}); !errors.Is(err, want) {
			t.Errorf("operation %d as a datagram: %v, want %v", op, err, want)
		}
		w.To = nil
		if err := w.Plain(Limits{Type: UD, SGEs: 1}); !errors.Is(err, unix.EINVAL) {
			t.Errorf("operation %d, a datagram to nobody: %v", op, err)
		}
		if err := w.Plain(Limits{Type: RC, SGEs: 1}); err != nil {
			t.Errorf("operation %d: %v", op, err)
		}
	}
	for n, want := range []error{unix.EINVAL, nil, nil, unix.EINVAL} {
		if err := (&ReceiveWR{SGEs: make([]SGE, n)}).Plain(Limits{SGEs: 2}); !errors.Is(err, want) {
			t.Errorf("a receive into %d memories: %v, want %v", n, err, want)
		}
	}
}
