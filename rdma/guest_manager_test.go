//go:build guest

package rdma

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// inOwnProcess is set for a process that has one test alone.
const inOwnProcess = "UMEMSTRESS_TEST_ALONE"

// withManager has a test run in a process of its own, since librdmacm keeps devices open until its process ends, and says
// whether this is that. It loads what the connection manager needs, and unloads it.
func withManager(t *testing.T) (alone bool) {
	t.Helper()
	if os.Getenv(inOwnProcess) != "" {
		return true
	}
	if out, err := exec.Command("modprobe", "rdma_ucm").CombinedOutput(); err != nil {
		t.Fatalf("modprobe rdma_ucm: %v: %s", err, out)
	}
	t.Cleanup(func() {
		for _, module := range []string{"rdma_ucm", "rdma_cm", "iw_cm", "ib_cm", "configfs"} {
			if out, err := exec.Command("rmmod", module).CombinedOutput(); err != nil {
				t.Errorf("rmmod %s: %v: %s", module, err, out)
			}
		}
	})
	cmd := exec.Command(os.Args[0], append([]string{"-test.v", "-test.run=^" + t.Name() + "$"}, "-expect-pin="+*expectPin, "-backend="+*through)...)
	cmd.Env = append(os.Environ(), inOwnProcess+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

// managed is an end that the connection manager is to connect.
type managed struct {
	*endpoint
	manager *Manager
	path    Path
}

// newManaged makes an end with n queue pairs that are not connected.
func newManaged(t *testing.T, n int, of QPConfig) (managed, []*QP) {
	t.Helper()
	e := managed{endpoint: &endpoint{ctx: openDevice(t)}}
	var err error
	if e.pd, err = e.ctx.AllocPD(); err != nil {
		t.Fatal(err)
	}
	if e.cq, err = e.ctx.CreateCQ(64); err != nil {
		t.Fatal(err)
	}
	if e.path, err = e.ctx.Path(PathConfig{GIDIndex: AutoGID}); err != nil {
		t.Fatal(err)
	}
	of.SendCQ = e.cq
	var pairs []*QP
	for range n {
		qp, err := e.pd.CreateQP(of)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, qp)
	}
	if e.manager, err = e.ctx.NewManager(e.path); err != nil {
		t.Fatal(err)
	}
	return e, pairs
}

// met connects all queue pairs of one end with those of the other.
func met(t *testing.T, listener, dialler managed, accepting, dialling []*QP) {
	t.Helper()
	meeting, err := listener.manager.Listen()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		for _, qp := range accepting {
			if err := listener.manager.Accept(t.Context(), qp, listener.path); err != nil {
				accepted <- err
				return
			}
		}
		accepted <- nil
	}()
	for _, qp := range dialling {
		if err := dialler.manager.Dial(t.Context(), qp, meeting, dialler.path); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
}

// Queue pairs that the connection manager has connected carry bytes both ways, each to its own peer, and may be
// closed in any order.
func TestManagerConnects(t *testing.T) {
	if !withManager(t) {
		return
	}
	const n, size = 3, 4096
	here, hereQPs := newManaged(t, n, QPConfig{MaxRecv: 4})
	there, thereQPs := newManaged(t, n, QPConfig{MaxRecv: 4})
	met(t, there, here, thereQPs, hereQPs)
	for i := range n {
		for _, way := range []struct {
			from, to       managed
			sends, recvs   *QP
			seed, immediat uint64
		}{{here, there, hereQPs[i], thereQPs[i], uint64(i), 7}, {there, here, thereQPs[i], hereQPs[i], uint64(i) + 100, 8}} {
			source, target := anonymous(t, size), anonymous(t, size)
			fill(source, way.seed)
			from, to := register(t, way.from.pd, source), register(t, way.to.pd, target)
			if _, err := way.recvs.PostReceives([]Receive{{ID: 1, Local: Slice{MR: to, Length: size}}}); err != nil {
				t.Fatal(err)
			}
			if err := way.sends.Post(Request{ID: 2, Op: OpSendImm, Imm: uint32(way.immediat), Signaled: true, Local: Slice{MR: from, Length: size}}); err != nil {
				t.Fatal(err)
			}
			await(t, way.from.cq, 1)
			got := await(t, way.to.cq, 1)[0]
			if got.QPN != way.recvs.Address().QPN || got.Imm != uint32(way.immediat) || !bytes.Equal(source, target) {
				t.Errorf("connection %d: %+v; the same bytes: %v", i, got, bytes.Equal(source, target))
			}
			if err := way.sends.Post(Request{ID: 3, Signaled: true, Local: Slice{MR: from, Length: 8}, RemoteAddr: to.Addr() + 8, RKey: to.RKey()}); err != nil {
				t.Fatal(err)
			}
			await(t, way.from.cq, 1)
		}
	}
	if err := hereQPs[0].Close(); err != nil { // with its connection
		t.Error(err)
	}
	if err := here.manager.Close(); err != nil { // with those of the others
		t.Error(err)
	}
	for _, qp := range slices.Backward(hereQPs) {
		if err := qp.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := here.manager.Dial(t.Context(), hereQPs[1], Meeting{}, here.path); !errors.Is(err, ErrClosed) {
		t.Errorf("a manager that is closed: %v", err)
	}
}

// Who asks without the token is turned down, and whom it was meant for is waited for. Once that is there, nobody listens.
func TestManagerTurnsDown(t *testing.T) {
	if !withManager(t) {
		return
	}
	here, hereQPs := newManaged(t, 2, QPConfig{})
	there, thereQPs := newManaged(t, 1, QPConfig{})
	meeting, err := there.manager.Listen()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { accepted <- there.manager.Accept(t.Context(), thereQPs[0], there.path) }()
	wrong := meeting
	wrong.Token = bytes.Repeat([]byte{0xa5}, len(meeting.Token))
	wantText(t, here.manager.Dial(t.Context(), hereQPs[0], wrong, here.path), false, "RDMA_CM_EVENT_REJECTED", "nobody listens there for this run")
	if err := here.manager.Dial(t.Context(), hereQPs[1], meeting, here.path); err != nil {
		t.Error(err)
	}
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	if err := there.manager.StopListening(); err != nil {
		t.Error(err)
	}
	late, err := here.pd.CreateQP(QPConfig{SendCQ: here.cq})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, here.manager.Dial(t.Context(), late, meeting, here.path), false, "RDMA_CM_EVENT_REJECTED")
}

// What cannot be connected ends with the reason, and within its time.
func TestManagerFails(t *testing.T) {
	if !withManager(t) {
		return
	}
	here, hereQPs := newManaged(t, 3, QPConfig{})
	there, _ := newManaged(t, 0, QPConfig{})
	meeting, err := there.manager.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.manager.Listen(); err == nil {
		t.Error("it listens twice")
	}
	gone := meeting
	gone.Address = netip.AddrPortFrom(meeting.Address.Addr(), meeting.Address.Port()^1)
	wantText(t, here.manager.Dial(t.Context(), hereQPs[0], gone, here.path), false, "RDMA_CM_EVENT_REJECTED", "has the other end gone?")
	wantText(t, here.manager.Dial(t.Context(), hereQPs[0], Meeting{}, here.path), false, "the other end does not listen")
	wantText(t, here.manager.Accept(t.Context(), hereQPs[0], here.path), false, "it does not listen")
	wantText(t, there.manager.Dial(t.Context(), hereQPs[0], meeting, here.path), false, "it is of another context")
	unroutable := meeting
	unroutable.Address = netip.MustParseAddrPort("10.77.0.99:1") // of the link's network, and nobody's
	wantText(t, here.manager.Dial(t.Context(), hereQPs[1], unroutable, here.path), false, "RDMA_CM_EVENT_ADDR_ERROR", "ping")

	// Nobody accepts.
	reason := errors.New("had enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, reason)
	defer cancel()
	began := time.Now()
	if err := here.manager.Dial(ctx, hereQPs[2], meeting, here.path); !errors.Is(err, reason) {
		t.Errorf("nobody accepts: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it has waited for %v", took)
	}
	unreliable, err := here.pd.CreateQP(QPConfig{Type: UC, SendCQ: here.cq})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, here.manager.Dial(t.Context(), unreliable, meeting, here.path), false, "it is of type UC, and has to be RC")
}
