package rdma

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// What a request could not carry is refused with the limit, and never cut off.
func TestNumbersBeyondTheirFields(t *testing.T) {
	_, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := ctx.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	qp, err := pd.CreateQP(QPConfig{SendCQ: cq})
	if err != nil {
		t.Fatal(err)
	}
	create := func(cfg QPConfig) error {
		cfg.SendCQ = cq
		_, err := pd.CreateQP(cfg)
		return err
	}
	entries := func(n int) error {
		_, err := ctx.CreateCQ(n)
		return err
	}
	connect := func(change func(*Address, *Path)) error {
		remote, path := Address{QPN: 1}, Path{Port: 1, MTU: 1024}
		change(&remote, &path)
		return qp.Connect(remote, path)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{entries(0), "entries 0: it must be from 1 to 2147483647"},
		{entries(-1), "entries -1: it must be from 1 to 2147483647"},
		{entries(1 << 31), "entries 2147483648: it must be from 1 to 2147483647"},
		{entries(1<<32 + 1), "from 1 to 2147483647"},
		{create(QPConfig{MaxSend: -1}), "MaxSend -1: it must be from 1 to 4294967295"},
		{create(QPConfig{MaxSend: 1<<32 + 1}), "MaxSend 4294967297"},
		{create(QPConfig{MaxRecv: -1}), "MaxRecv -1: it must be from 1 to 4294967295"},
		{connect(func(_ *Address, p *Path) { p.GID.Index = 256 }), "GID index 256: it must be from 0 to 255"},
		{connect(func(_ *Address, p *Path) { p.GID.Index = -1 }), "GID index -1: it must be from 0 to 255"},
		{connect(func(_ *Address, p *Path) { p.Port = 257 }), "port 257: it must be from 1 to 255"},
		{connect(func(_ *Address, p *Path) { p.Port = 0 }), "port 0: it must be from 1 to 255"},
		{connect(func(_ *Address, p *Path) { p.MTU = 1500 }), "MTU 1500: choose 256"},
		{connect(func(a *Address, _ *Path) { a.QPN = 1 << 24 }), "queue pair number 16777216: it must be from 0 to 16777215"},
		{connect(func(a *Address, _ *Path) { a.PSN = 1 << 24 }), "packet sequence number 16777216"},
	} {
		wantText(t, test.err, false, test.want)
	}
	if err := connect(func(*Address, *Path) {}); err != nil {
		t.Error(err)
	}
}

// A piece of memory has 32 bits of length. The region is never touched.
func TestRequestBeyond4GiB(t *testing.T) {
	mem, err := unix.Mmap(-1, 0, 5<<30, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	mr := &MR{mem: mem}
	w := Request{Local: Slice{MR: mr, Length: math.MaxUint32}}
	if err := w.Local.check(); err != nil {
		t.Error(err)
	}
	for _, length := range []int{math.MaxUint32 + 1, 4<<30 + 1} {
		w.Local.Length = length
		_, ctx := newFake()
		qp := &QP{object: &object{ctx: ctx}}
		err := qp.Post(w)
		wantText(t, err, false, fmt.Sprintf("bytes %d: it must be from 0 to 4294967295", length))
	}
}

// A table of GIDs may have 1,024 entries; a request names one of the first 256.
func TestGIDBeyondTheField(t *testing.T) {
	files := rxe0("4: ACTIVE")
	const port = "class/infiniband/rxe0/ports/1/"
	for i := range 300 {
		files[fmt.Sprintf("%sgids/%d", port, i)] = netip.IPv6Unspecified().StringExpanded()
	}
	set := func(index int, text string) {
		files[fmt.Sprintf("%sgids/%d", port, index)] = text
		files[fmt.Sprintf("%sgid_attrs/types/%d", port, index)] = typeRoCEv2
	}
	choose := func(index int) (GID, error) {
		d, err := FindDevice(tree(t, files), "rxe0")
		if err != nil {
			t.Fatal(err)
		}
		return chooseGID(d, 1, index)
	}
	set(256, "0000:0000:0000:0000:0000:ffff:0a4d:0001")
	_, err := choose(256)
	wantText(t, err, false, "GID 256 of port 1 of device rxe0: index 256: it must be from 0 to 255")
	if g, err := choose(AutoGID); err == nil {
		t.Errorf("chose %+v, which cannot be used", g)
	}
	set(255, "fe80:0000:0000:0000:1cb6:cfff:fe41:42ad")
	for _, index := range []int{255, AutoGID} {
		if g, err := choose(index); err != nil || g.Index != 255 {
			t.Errorf("%d: chose %+v, %v", index, g, err)
		}
	}
}

// What crosses the seam is what was asked for.
func TestConnectSteps(t *testing.T) {
	gid := netip.MustParseAddr("::ffff:10.77.0.1")
	path := Path{Port: 2, GID: GID{Index: 200}, MTU: 4096, ServiceLevel: 3, TrafficClass: 106, PKeyIndex: 2, Timeout: 14}
	remote := Address{QPN: 0xabcdef, PSN: 0xfedcba}
	for _, transport := range []QPType{RC, UC} {
		steps, _, err := connectSteps(Address{PSN: 0x123456}, 1, remote, gid, path, transport)
		if err != nil || len(steps) != 3 {
			t.Fatalf("%d steps, %v", len(steps), err)
		}
		init, rtr, rts := steps[0], steps[1], steps[2]
		if init.State != verbs.Init || init.Port != 2 || init.Access&verbs.AccessRemoteWrite == 0 || init.PKeyIndex != 2 {
			t.Errorf("INIT: %+v", init)
		}
		want := verbs.AH{Global: true, DGID: gid.As16(), SGIDIndex: 200, HopLimit: hopLimit, Port: 2, SL: 3, TrafficClass: 106}
		if rtr.State != verbs.ReadyToRecv || rtr.AH != want || rtr.PathMTU.Bytes() != 4096 || rtr.DestQPN != remote.QPN || rtr.RQPSN != remote.PSN {
			t.Errorf("RTR: %+v", rtr)
		}
		if rts.State != verbs.ReadyToSend || rts.SQPSN != 0x123456 {
			t.Errorf("RTS: %+v", rts)
		}
		if want := map[bool]uint8{true: 14}[transport == RC]; rts.Timeout != want {
			t.Errorf("%v: RTS with a timeout of %d, want %d", transport, rts.Timeout, want)
		}
		if got := init.Access&verbs.AccessRemoteRead != 0; got != transport.Does(OpRead) {
			t.Errorf("%v: INIT with access %#x", transport, init.Access)
		}
		// An unreliable connection must not be given what makes one reliable.
		const reliable = verbs.AttrTimeout | verbs.AttrRetryCount | verbs.AttrRNRRetry | verbs.AttrMaxRDAtomic
		if got := rts.Mask & reliable; got != 0 != (transport == RC) {
			t.Errorf("%v: RTS with %#x", transport, rts.Mask)
		}
		if got := rtr.Mask & (verbs.AttrMinRNRTimer | verbs.AttrMaxDestRDAtomic); got != 0 != (transport == RC) {
			t.Errorf("%v: RTR with %#x", transport, rtr.Mask)
		}
	}
}

// A poll for more than a batch gives all there is, in order.
func TestPollOfManyBatches(t *testing.T) {
	_, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := ctx.CreateCQ(100)
	if err != nil {
		t.Fatal(err)
	}
	a, err := pd.CreateQP(QPConfig{SendCQ: cq})
	if err != nil {
		t.Fatal(err)
	}
	b, err := pd.CreateQP(QPConfig{SendCQ: cq})
	if err != nil {
		t.Fatal(err)
	}
	if err := ConnectLoopback(a, b, somePath); err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, 16)
	mr, err := pd.RegisterMR(mem, AccessLocalWrite|AccessRemoteWrite)
	if err != nil {
		t.Fatal(err)
	}
	ws := make([]Request, 50)
	for i := range ws {
		ws[i] = Request{ID: uint64(i), Signaled: true, Local: Slice{MR: mr, Length: 8}, RemoteAddr: mr.Addr() + 8, RKey: mr.RKey()}
	}
	if _, err := a.PostAll(ws); err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for _, room := range []int{37, 0, 1, 100} {
		wc := make([]Completion, room)
		n, err := cq.Poll(wc)
		if err != nil || n != min(room, len(ws)-int(next)) {
			t.Fatalf("%d completions in room for %d, %v", n, room, err)
		}
		for _, c := range wc[:n] {
			if c.ID != next || c.QPN != a.Address().QPN || c.Err() != nil {
				t.Fatalf("completion %d: %+v", next, c)
			}
			next++
		}
	}
}

// Errors keep the limit beside what the kernel would have said.
func TestLimitErrorIsNoErrno(t *testing.T) {
	_, ctx := newFake()
	_, err := ctx.CreateCQ(-1)
	var errno unix.Errno
	if errors.As(err, &errno) || !strings.HasPrefix(err.Error(), "create completion queue of -1 entries: entries -1") {
		t.Error(err)
	}
}
