//go:build guest

package rdma

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/leaktest"
)

// The tests with the build tag guest need a soft-RoCE device and root. Run them
// in the lab:
//
//	go test -c -tags guest -o /tmp/rdma.test ./rdma
//	umemstress lab exec --kernel 5.10 -- /tmp/rdma.test -test.v -expect-pin=granted

var expectPin = flag.String("expect-pin", "", "what this kernel does with pins of ext4 files: granted or refused")

var through = flag.String("backend", string(AutoBackend), "how verbs reach the device: auto, uverbs or ibverbs")

// TestMain lets the test binary play a part in a process of its own.
func TestMain(m *testing.M) {
	flag.Parse()
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	if os.Getenv(inOwnProcess) != "" {
		os.Exit(m.Run()) // the process that has started it looks
	}
	os.Exit(leaktest.Run(m))
}

// endpoint is what most tests need: two queue pairs connected with each other,
// the second only as the target.
type endpoint struct {
	ctx  *Context
	pd   *PD
	cq   *CQ
	qp   *QP
	peer *QP
}

func openDevice(t testing.TB) *Context {
	t.Helper()
	return openDeviceThrough(t, Backend(*through))
}

func openDeviceThrough(t testing.TB, backend Backend) *Context {
	t.Helper()
	d, err := FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := OpenThrough(d, backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx
}

func newEndpoint(t testing.TB, depth int) *endpoint {
	t.Helper()
	return newEndpointOn(t, openDevice(t), depth)
}

func newEndpointOn(t testing.TB, ctx *Context, depth int) *endpoint {
	t.Helper()
	e := &endpoint{ctx: ctx}
	var err error
	if e.pd, err = e.ctx.AllocPD(); err != nil {
		t.Fatal(err)
	}
	if e.cq, err = e.ctx.CreateCQ(depth); err != nil {
		t.Fatal(err)
	}
	e.qp, e.peer = newPair(t, e, depth)
	return e
}

func newPair(t testing.TB, e *endpoint, depth int) (*QP, *QP) {
	t.Helper()
	path, err := e.ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err != nil {
		t.Fatal(err)
	}
	a, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq, MaxSend: depth})
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq, MaxSend: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := ConnectLoopback(a, b, path); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// anonymous is n bytes of mmap'd memory.
func anonymous(t testing.TB, n int) []byte {
	t.Helper()
	mem, err := mapAnonymous(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}

func mapAnonymous(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// mappedFile is a file of n bytes, written out, and its shared mapping.
func mappedFile(t testing.TB, n int) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Repeat([]byte{1}, n), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}

func register(t testing.TB, pd *PD, mem []byte) *MR {
	t.Helper()
	mr, err := pd.RegisterMR(mem, AccessLocalWrite|AccessRemoteWrite)
	if err != nil {
		t.Fatal(err)
	}
	return mr
}

func fill(mem []byte, seed uint64) {
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
}

// await polls until n completions have come, all of them successful.
func await(t testing.TB, cq *CQ, n int) []Completion {
	t.Helper()
	got := make([]Completion, 0, n)
	buffer := make([]Completion, n)
	for deadline := time.Now().Add(20 * time.Second); len(got) < n; {
		k, err := cq.Poll(buffer[:n-len(got)])
		if err != nil {
			t.Fatal(err)
		}
		for i := range k {
			if err := buffer[i].Err(); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, buffer[:k]...)
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d completions after 20 s", len(got), n)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return got
}
