package verbstest

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Target is the backend that is tested, on one device.
type Target struct {
	// Open opens the device, which nobody else uses.
	Open func() (verbs.Backend, error)
	// AH is the way from the device to itself, and MTU what it can carry.
	AH  verbs.AH
	MTU verbs.MTU
	// Held is how many objects the device holds for all users.
	Held func() (int, error)
	// File is a shared mapping of a file that a region may be refused for, or nil.
	// Refused says what this kernel does.
	File    []byte
	Refused bool
	// Windowless says that the device has no memory windows, and LooseWindows that theirs give access to all of a region: rdma_rxe looks at
	// the region's bounds alone.
	Windowless, LooseWindows bool
	// FragileWindows says that the device's kernel does not survive that a key is taken from a window that is not bound: rdma_rxe of 6.1, 6.12
	// and 7.2 follows a null pointer then (rxe_invalidate_mw; docs/findings/rxe-window.md).
	FragileWindows bool
	// Fixed says that the device re-registers no region, and FixedMemory that it does so for another access alone: rdma_rxe of 6.12.
	Fixed, FixedMemory bool
	// Patience is how long a device may take for anything; 0 is 20 s.
	Patience time.Duration
	// Removable makes a device to be removed. Remove begins that, and the channel
	// has the result once it is gone.
	Removable func(testing.TB) (open func() (verbs.Backend, error), remove func() <-chan error)
	// Switched makes a device whose first port can be taken down, and up again.
	Switched func(testing.TB) (open func() (verbs.Backend, error), set func(up bool) error)
}

func (t Target) patience() time.Duration {
	if t.Patience == 0 {
		return 20 * time.Second
	}
	return t.Patience
}

func (t Target) deadline() time.Time { return time.Now().Add(t.patience()) }

// check is one part of the contract.
type check struct {
	name string
	run  func(testing.TB, Target)
}

func checks() []check {
	return []check{
		{"ports", testPorts},
		{"alive", testAlive},
		{"in use", testInUse},
		{"closing takes all", testCloseTakesAll},
		{"beyond limits", testBeyondLimits},
		{"what it does not do", testUnsupported},
		{"memory that cannot be reached", testBadMemory},
		{"several regions", testRegions},
		{"pin of a file", testFile},
		{"order of states", testStates},
		{"write", testWrite},
		{"read", testRead},
		{"reads at a time", testReads},
		{"atomic operations", testAtomics},
		{"memory windows", testWindows},
		{"memory windows of type 2", testWindows2},
		{"keys", testKeys},
		{"re-registration", testRereg},
		{"several pieces", testPieces},
		{"inline", testInline},
		{"only signaled", testSignaled},
		{"poll", testPoll},
		{"events", testEvents},
		{"overflow", testOverflow},
		{"port down and up", testPortEvents},
		{"full queue", testFull},
		{"bad request among good", testBadAmongGood},
		{"flush", testFlush},
		{"flush after failure", testFlushAfterFailure},
		{"destroyed with requests", testDestroyedBusy},
		{"messages", testMessages},
		{"message too long", testLongMessage},
		{"immediates", testImmediates},
		{"full receive queue", testFullReceives},
		{"flush of receives", testReceivesFlushed},
		{"shared receives", testShared},
		{"shared receives in use", testSharedInUse},
		{"unreliable connection", testUnreliable},
		{"dropped", testDropped},
		{"datagrams", testDatagrams},
		{"allocations", testAllocations},
		{"several goroutines", testGoroutines},
		{"removal", testRemoval},
	}
}

// Run tests a backend against the contract of package verbs.
func Run(t *testing.T, target Target) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { c.run(t, target) })
	}
}

// rig is what most checks need: two queue pairs that can reach each other, and
// memory to write from and to.
type rig struct {
	testing.TB
	target  Target
	backend verbs.Backend
	pd      verbs.Handle
	cq      verbs.CQ
	qp      verbs.QP
	peer    verbs.QP
	reads   uint8 // and atomics, that are under way at most
	from    area
	to      area
}

// area is registered memory.
type area struct {
	mem []byte
	mr  verbs.MR
}

const (
	areaSize = 64 << 10
	depth    = 8
	most     = 64 * depth // requests under way at most, as a device may grant more than was asked for
	psn      = 0xfffffe   // wraps around within the first requests
	all      = verbs.AccessLocalWrite | verbs.AccessRemoteWrite | verbs.AccessRemoteRead | verbs.AccessRemoteAtomic
)

// newRig makes everything and connects both queue pairs.
func newRig(t testing.TB, target Target) *rig {
	t.Helper()
	r := newDeafRig(t, target)
	r.connect(r.peer, r.qp.Number())
	return r
}

// newDeafRig leaves the peer in Reset: requests to it get no answer.
func newDeafRig(t testing.TB, target Target) *rig {
	t.Helper()
	r := newUnconnectedRig(t, target)
	r.connect(r.qp, r.peer.Number())
	return r
}

func newUnconnectedRig(t testing.TB, target Target) *rig {
	t.Helper()
	r := &rig{TB: t, target: target, backend: open(t, target)}
	var err error
	r.pd, err = r.backend.AllocPD()
	r.must(err)
	r.cq, err = r.backend.CreateCQ(most)
	r.must(err)
	r.qp, r.peer = r.newQP(), r.newQP()
	attr, err := r.backend.QueryDevice()
	r.must(err)
	r.reads = uint8(min(depth, attr.MaxDestRDAtomic, attr.MaxRDAtomic))
	r.from, r.to = r.register(mapped(t, areaSize)), r.register(mapped(t, areaSize))
	for i := range r.from.mem {
		r.from.mem[i] = byte(i*7 + i>>8)
	}
	return r
}

// open opens the device until the check ends, and then sees that nothing is left.
func open(t testing.TB, target Target) verbs.Backend {
	t.Helper()
	before, err := target.Held()
	if err != nil {
		t.Fatal(err)
	}
	b, err := target.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if after, err := target.Held(); err != nil || after != before {
			t.Errorf("the device holds %d objects after Close, %d before, %v", after, before, err)
		}
	})
	return b
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) newQP() verbs.QP {
	r.Helper()
	return r.newQPOf(verbs.RC)
}

func (r *rig) newQPOf(transport verbs.QPType) verbs.QP {
	r.Helper()
	q, err := r.backend.CreateQP(verbs.QPInit{PD: r.pd, Type: transport, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: depth, MaxRecv: depth})
	r.must(err)
	return q
}

func (r *rig) register(mem []byte) area {
	r.Helper()
	mr, err := r.backend.RegisterMR(r.pd, mem, all)
	r.must(err)
	return area{mem, mr}
}

// steps are the changes that connect a queue pair.
func (r *rig) steps(dest uint32) [3]verbs.QPAttr {
	return [3]verbs.QPAttr{
		{
			Mask:  verbs.AttrState | verbs.AttrPKeyIndex | verbs.AttrPort | verbs.AttrAccess,
			State: verbs.Init, Port: r.target.AH.Port, Access: all,
		},
		{
			Mask: verbs.AttrState | verbs.AttrAH | verbs.AttrPathMTU | verbs.AttrDestQPN | verbs.AttrRQPSN |
				verbs.AttrMaxDestRDAtomic | verbs.AttrMinRNRTimer,
			State: verbs.ReadyToRecv, AH: r.target.AH, PathMTU: r.target.MTU, DestQPN: dest, RQPSN: psn,
			MaxDestRDAtomic: r.reads, MinRNRTimer: 12,
		},
		{
			Mask: verbs.AttrState | verbs.AttrSQPSN | verbs.AttrTimeout | verbs.AttrRetryCount | verbs.AttrRNRRetry |
				verbs.AttrMaxRDAtomic,
			State: verbs.ReadyToSend, SQPSN: psn, Timeout: 17, RetryCount: 6, RNRRetry: 7, MaxRDAtomic: r.reads,
		},
	}
}

func (r *rig) connect(q verbs.QP, dest uint32) {
	r.Helper()
	for _, step := range r.steps(dest) {
		r.must(q.Modify(step))
	}
}

// write is a request that copies a part of from to the same place of to.
func (r *rig) write(id uint64, offset, length int) verbs.WR {
	return verbs.WR{
		ID: id, Op: verbs.OpWrite, Signaled: true,
		SGEs: []verbs.SGE{{
			Addr: verbs.AddressOf(r.from.mem) + uint64(offset), Length: uint32(length), LKey: r.from.mr.LKey,
		}},
		Remote: verbs.Remote{Addr: verbs.AddressOf(r.to.mem) + uint64(offset), RKey: r.to.mr.RKey},
	}
}

func (r *rig) post(wrs ...verbs.WR) {
	r.Helper()
	if n, err := r.qp.Post(wrs); n != len(wrs) || err != nil {
		r.Fatalf("posted %d of %d requests, %v", n, len(wrs), err)
	}
}

// await polls until n completions have come, and a little longer for one too many.
func (r *rig) await(n int) []verbs.Completion {
	r.Helper()
	var got []verbs.Completion
	wc := make([]verbs.Completion, n+1)
	for deadline := r.target.deadline(); len(got) < n; time.Sleep(100 * time.Microsecond) {
		k, err := r.cq.Poll(wc)
		r.must(err)
		got = append(got, wc[:k]...)
		if time.Now().After(deadline) {
			r.Fatalf("%d of %d completions came in time: %+v", len(got), n, got)
		}
	}
	r.quiet(wc)
	if len(got) > n {
		r.Fatalf("%d completions for %d requests: %+v", len(got), n, got)
	}
	return got
}

// quiet sees that no completion comes.
func (r *rig) quiet(wc []verbs.Completion) {
	r.Helper()
	time.Sleep(settle)
	if k, err := r.cq.Poll(wc); k != 0 || err != nil {
		r.Fatalf("completions that nobody asked for: %+v, %v", wc[:k], err)
	}
}

// settle is how long a device may take to do what it must not.
const settle = 20 * time.Millisecond

// mapped is memory from mmap.
func mapped(t testing.TB, size int) []byte {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}
