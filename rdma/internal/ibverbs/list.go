package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// links are the members of a request that a list is made of: of struct ibv_send_wr and struct
// ibv_recv_wr the same.
type links struct{ next, pieces *uintptr }

func (w *sendWR) links() links { return links{&w.Next, &w.SGList} }
func (w *recvWR) links() links { return links{&w.Next, &w.SGList} }

// list is the memory that requests of a kind are given to the provider from.
type list[T any] struct {
	memory *arena
	wrs    []T   // each linked to the next and with pieces of memory of its own
	sges   []sge // those of each behind those of the one before
	most   verbs.Limits
	links  func(*T) links
	end    int        // how many of them the list has
	bad    *uintptr   // where the provider says which request it did not take
	args   [3]uintptr // of the call, kept: one with them allocates nothing
}

// mostAtOnce bounds what a list has memory for: some providers grant what no queue has room for.
const mostAtOnce = 1 << 14

// newList makes memory for more requests than the queue was granted room for, because it may have
// more (rdma_rxe's is rounded up beyond what it grants).
func newList[T any](pair uintptr, granted uint32, most verbs.Limits, linksOf func(*T) links) (*list[T], error) {
	n, each := max(2*min(granted, mostAtOnce/2), atOnce), uint32(most.SGEs)
	memory, err := newArena(sizeOf[T](n) + sizeOf[sge](n*each) + sizeOf[uintptr](1))
	if err != nil {
		return nil, err
	}
	l := &list[T]{memory: memory, wrs: take[T](memory, n), sges: take[sge](memory, n*each), most: most, links: linksOf, bad: &take[uintptr](memory, 1)[0]}
	for i := range l.wrs {
		here := linksOf(&l.wrs[i])
		*here.pieces = addressOf(&l.pieces(i)[0])
		if i > 0 {
			*linksOf(&l.wrs[i-1]).next = addressOf(&l.wrs[i])
		}
	}
	l.end = len(l.wrs)
	l.args = [3]uintptr{pair, addressOf(&l.wrs[0]), addressOf(l.bad)}
	return l, nil
}

// pieces are those of a request.
func (l *list[T]) pieces(i int) []sge { return l.sges[i*l.most.SGEs:][:l.most.SGEs] }

// free is for lists that may never have been made.
func (l *list[T]) free() error {
	if l == nil {
		return nil
	}
	return l.memory.free()
}

// postAll gives the requests to a function of the provider's, each as put fills it in. What there is
// no memory for goes in a further list.
func postAll[T, W any](l *list[T], post uintptr, wrs []W, put func(*T, []sge, *W, verbs.Limits) error) (n int, err error) {
	for n < len(wrs) {
		part := wrs[n:min(len(wrs), n+len(l.wrs))]
		posted, err := postList(l, post, part, put)
		n += posted
		if err != nil || posted < len(part) {
			return n, err
		}
	}
	return n, nil
}

// postList posts what there is memory for.
func postList[T, W any](l *list[T], post uintptr, wrs []W, put func(*T, []sge, *W, verbs.Limits) error) (n int, err error) {
	for n < len(wrs) {
		if err = put(&l.wrs[n], l.pieces(n), &wrs[n], l.most); err != nil {
			break
		}
		n++
	}
	if n == 0 {
		return 0, err
	}
	posted, postErr := l.give(post, n)
	if postErr != nil || posted < n {
		return posted, postErr
	}
	return n, err
}

// give posts the first n requests and says how many of them the queue has taken. Where it is full,
// providers say ENOMEM.
func (l *list[T]) give(post uintptr, n int) (int, error) {
	*l.bad = 0
	l.endAt(n)
	status := int32(callC(post, l.args[:]...))
	if status == 0 {
		return n, nil
	}
	if *l.bad != 0 { // else it has taken all, and failed to tell the device
		from, one := *l.bad-addressOf(&l.wrs[0]), sizeOf[T](1)
		if from%one != 0 || from/one >= uintptr(n) {
			return 0, unix.EPROTO // of a request that it was not given: who knows how many it has taken
		}
		n = int(from / one)
	}
	if errno := statusErrno(status); errno != unix.ENOMEM {
		return n, errno
	}
	return n, nil
}

// endAt has the list end with its n-th request, and go on where it ended before.
func (l *list[T]) endAt(n int) {
	if before := l.end; before < len(l.wrs) {
		*l.links(&l.wrs[before-1]).next = addressOf(&l.wrs[before])
	}
	*l.links(&l.wrs[n-1]).next = 0
	l.end = n
}
