//go:build guest

package rdma

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
	"umemstress/rdma/internal/verbs/verbstest"
	"umemstress/rdma/providertest"
)

// What other devices do otherwise than soft-RoCE, the backend ibverbs meets in a provider that does so on purpose. It is tested in a
// process of its own, which libibverbs loads it into.
func TestProvider(t *testing.T) {
	p := providertest.Given(t)
	if p == nil {
		providertest.New(t)
		cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestProvider$", "-expect-pin="+*expectPin)
		cmd.Env = append(os.Environ(), inOwnProcess+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil || !strings.Contains(string(out), "--- PASS: TestProvider ") {
			t.Error(err)
		}
		return
	}
	for _, of := range []struct {
		what string
		test func(*testing.T, *providertest.Provider)
	}{
		{"conformance", testProviderConformance}, {"statuses", testStatuses}, {"short posts", testShortPosts}, {"short receives", testShortReceives},
		{"blame of a stranger", testStray}, {"limits", testProviderLimits}, {"events", testProviderEvents},
	} {
		t.Run(of.what, func(t *testing.T) {
			p.Reset()
			of.test(t, p)
			p.MustHaveOpened()
		})
	}
}

// The only port is the second, keys are others and the two of a region differ, queues are larger than asked for, what means nothing in
// a completion is not 0, polls give three at most, and nobody looks at the state of a queue pair.
func testProviderConformance(t *testing.T, p *providertest.Provider) {
	d, path := deviceAndPath(t)
	const port = 2
	for knob, value := range map[providertest.Knob]uint32{
		providertest.Port: port, providertest.Keys: 1, providertest.More: 17, providertest.Junk: 1, providertest.AtOnce: 3, providertest.Unguarded: 1, providertest.Rereg: 1,
	} {
		p.Set(knob, value)
	}
	mtu, _ := verbs.MTUOf(path.MTU)
	gid := path.GID.Addr.As16()
	verbstest.Run(t, verbstest.Target{
		Open:    opener(d, IBVerbs),
		AH:      verbs.AH{Global: true, DGID: gid, SGID: gid, DMAC: ownMAC(path), SGIDIndex: uint8(path.GID.Index), HopLimit: 64, Port: port},
		MTU:     mtu,
		Held:    objects,
		File:    mappedFile(t, 64<<10),
		Refused: *expectPin == "refused",

		Windowless: !rxeHas(t, "rxe_alloc_mw"), LooseWindows: true, FragileWindows: true,

		Removable: func(t testing.TB) (func() (verbs.Backend, error), func() <-chan error) { return removable(t, IBVerbs) },
		// What a port does is told by its number in the kernel, which has another: see testProviderEvents.
	})
}

func deviceAndPath(t *testing.T) (Device, Path) {
	t.Helper()
	d, err := FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := OpenThrough(d, IBVerbs)
	if err != nil {
		t.Fatal(err)
	}
	path, err := ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err = errors.Join(err, ctx.Close()); err != nil {
		t.Fatal(err)
	}
	return d, path
}

// differing is an end that is connected with itself, through the provider, and two regions.
type differing struct {
	*endpoint
	from, to *MR
}

func newDiffering(t *testing.T) *differing {
	t.Helper()
	d, _ := deviceAndPath(t)
	ctx, err := OpenThrough(d, IBVerbs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what nobody has acknowledged would keep it from ending
		closed := make(chan error, 1)
		go func() { closed <- ctx.Close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the device is not closed after 20 s")
		}
	})
	const size = 64 << 10
	e := &differing{endpoint: newEndpointOn(t, ctx, 16)}
	e.from, e.to = register(t, e.pd, anonymous(t, size)), register(t, e.pd, anonymous(t, size))
	fill(e.from.mem, 1)
	return e
}

// write is a request that copies a part of from, which it is the number of, to the same place of to.
func (e *differing) write(id uint64) Request {
	const part = 256
	return Request{
		ID: id, Signaled: true, Local: Slice{MR: e.from, Offset: int(id) * part, Length: part},
		RemoteAddr: e.to.Addr() + id*part, RKey: e.to.RKey(),
	}
}

// Each way in which a request can end is one sentence with its name and the vendor's error.
func testStatuses(t *testing.T, p *providertest.Provider) {
	p.Set(providertest.Junk, 1)
	e := newDiffering(t)
	const unknown = 24
	said := map[string]bool{}
	for status := uint32(0); status <= unknown; status++ {
		vendor := 0x80 + status
		p.Set(providertest.Vendor, vendor)
		p.Set(providertest.Status, status+1)
		if err := e.qp.Post(e.write(uint64(status))); err != nil {
			t.Fatal(err)
		}
		var wc [1]Completion
		if _, err := e.cq.Wait(t.Context(), wc[:]); err != nil {
			t.Fatal(err)
		}
		c, expected := wc[0], Completion{ID: uint64(status), Status: Status(status), QPN: e.qp.Address().QPN}
		if status != 0 { // of what succeeded it means nothing
			expected.VendorErr = vendor
		}
		if c != expected {
			t.Errorf("%+v, want %+v", c, expected)
		}
		err := c.Err()
		if status == 0 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		name := c.Status.String()
		want := fmt.Sprintf("request %d on queue pair %d: %s, vendor error %#x", status, c.QPN, name, vendor)
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
		if numbered := strings.HasPrefix(name, "completion status "); name == "" || said[name] || numbered != (status == unknown) {
			t.Errorf("status %d is called %q", status, name)
		}
		said[name] = true
	}
}

// Of posts that are cut short nothing is lost and nothing goes twice: who posts is told how many were taken.
func testShortPosts(t *testing.T, p *providertest.Provider) {
	p.Set(providertest.Take, 3)
	e := newDiffering(t)
	const n = 14
	left := make([]Request, n)
	for i := range left {
		left[i] = e.write(uint64(i))
	}
	var got []Completion
	for len(left) > 0 {
		posted, err := e.qp.PostAll(left)
		if posted != min(3, len(left)) || posted < len(left) && !errors.Is(err, ErrQueueFull) || posted == len(left) && err != nil {
			t.Fatalf("posted %d of %d, %v", posted, len(left), err)
		}
		left = left[posted:]
		got = append(got, await(t, e.cq, posted)...)
	}
	for i, c := range got {
		if c.ID != uint64(i) {
			t.Errorf("completion %d is of request %d", i, c.ID)
		}
	}
	if taken := p.Get(providertest.Taken); len(got) != n || taken != n || p.Get(providertest.Short) != n/3 {
		t.Errorf("%d completions; the provider took %d of %d, and cut %d posts short", len(got), taken, n, p.Get(providertest.Short))
	}
	if w := e.write(n); string(e.to.mem[:w.Local.Offset]) != string(e.from.mem[:w.Local.Offset]) {
		t.Error("not all bytes arrived")
	}
}

func testShortReceives(t *testing.T, p *providertest.Provider) {
	p.Set(providertest.Take, 2)
	e := newDiffering(t)
	receiver, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq, MaxRecv: 8})
	if err != nil {
		t.Fatal(err)
	}
	sender, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq, MaxSend: 8})
	if err != nil {
		t.Fatal(err)
	}
	receives := make([]Receive, 5)
	for i := range receives {
		receives[i] = Receive{ID: uint64(100 + i), Local: Slice{MR: e.to, Offset: i * 256, Length: 256}}
	}
	if n, err := receiver.PostReceives(receives); n != 0 || !errors.Is(err, unix.EINVAL) {
		t.Errorf("before it is connected: posted %d, %v", n, err)
	}
	path, err := e.ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err == nil {
		err = ConnectLoopback(sender, receiver, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	for left := receives; len(left) > 0; {
		n, err := receiver.PostReceives(left)
		if n != min(2, len(left)) || n < len(left) && !errors.Is(err, ErrQueueFull) || n == len(left) && err != nil {
			t.Fatalf("posted %d of %d, %v", n, len(left), err)
		}
		left = left[n:]
	}
	next := uint64(100)
	for i := range receives {
		if err := sender.Post(Request{ID: uint64(i), Op: OpSend, Signaled: true, Local: Slice{MR: e.from, Offset: i * 256, Length: 256}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range await(t, e.cq, 2) {
			if c.QPN == receiver.Address().QPN {
				if c.ID != next || c.ByteLen != 256 {
					t.Errorf("%+v, want receive %d", c, next)
				}
				next++
			}
		}
	}
	if size := len(receives) * 256; next != 105 || string(e.to.mem[:size]) != string(e.from.mem[:size]) {
		t.Errorf("%d messages were received; not all bytes arrived", next-100)
	}
}

// Who cannot tell how many requests were taken says so.
func testStray(t *testing.T, p *providertest.Provider) {
	e := newDiffering(t)
	p.Set(providertest.Stray, 1)
	if n, err := e.qp.PostAll([]Request{e.write(1), e.write(2)}); n != 0 || !errors.Is(err, unix.EPROTO) {
		t.Errorf("posted %d, %v", n, err)
	}
	p.Set(providertest.Stray, 0)
}
