//go:build guest

package rdma

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// resources counts what the kernel holds for all users of the device, what is
// mapped from uverbs and how many files are open. The counts of a kernel that
// does not track a kind are absent from both sides of a comparison.
func resources(t *testing.T, device string) map[string]uint64 {
	t.Helper()
	list, err := netlink.RdmaResourceList()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, r := range list {
		if strings.TrimRight(r.Name, "\x00") != device {
			continue
		}
		for kind, n := range r.RdmaResourceSummaryEntries {
			counts[strings.TrimRight(kind, "\x00")] = n
		}
	}
	for _, kind := range []string{"pd", "cq", "qp", "mr"} {
		if _, ok := counts[kind]; !ok {
			t.Fatalf("the kernel counts no %q: %v", kind, counts)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	counts["mappings"] = uint64(strings.Count(string(maps), "/dev/infiniband/uverbs"))
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	counts["files"] = uint64(len(files))
	return counts
}

func sameResources(t *testing.T, got, want map[string]uint64) {
	t.Helper()
	for kind, w := range want {
		if got[kind] != w {
			t.Errorf("%s: %d, want %d", kind, got[kind], w)
		}
	}
}

func TestCloseInAnyOrder(t *testing.T) {
	d, err := FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	const objects = 6 // context, pd, cq, qp, peer, mr
	for order := range permutations(objects) {
		before := resources(t, d.Name)
		e := newEndpoint(t, 4)
		mr := register(t, e.pd, anonymous(t, 8192))
		during := resources(t, d.Name)
		if during["qp"] != before["qp"]+2 || during["mr"] != before["mr"]+1 ||
			during["mappings"] < before["mappings"]+3 || during["files"] <= before["files"] {
			t.Fatalf("the counts do not see the objects: %v, before %v", during, before)
		}
		closers := [objects]func() error{e.ctx.Close, e.pd.Close, e.cq.Close, e.qp.Close, e.peer.Close, mr.Close}
		for _, i := range order {
			if err := closers[i](); err != nil {
				t.Fatalf("order %v, object %d: %v", order, i, err)
			}
			if err := closers[i](); err != nil {
				t.Fatalf("order %v, object %d again: %v", order, i, err)
			}
		}
		sameResources(t, resources(t, d.Name), before)
		if t.Failed() {
			t.Fatalf("order %v leaks", order)
		}
	}
}

// permutations yields orders in which each object comes first and last in turn,
// and all orders of the first three: enough to have every pair both ways.
func permutations(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		for shift := range n {
			up, down := make([]int, n), make([]int, n)
			for i := range n {
				up[i], down[i] = (i+shift)%n, (n-1-i+shift)%n
			}
			if !yield(up) || !yield(down) {
				return
			}
		}
		for _, head := range [][]int{{1, 2, 3, 4, 5, 0}, {2, 1, 5, 3, 4, 0}, {1, 5, 2, 4, 3, 0}, {5, 3, 1, 4, 2, 0}} {
			if !yield(head) {
				return
			}
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	e := newEndpoint(t, 4)
	mem := anonymous(t, 4096)
	mr := register(t, e.pd, mem)
	for _, c := range []func() error{e.qp.Close, e.peer.Close, e.cq.Close, e.pd.Close} {
		if err := c(); err != nil {
			t.Fatal(err)
		}
	}
	_, pollErr := e.cq.Poll(make([]Completion, 1))
	_, qpErr := e.pd.CreateQP(QPConfig{SendCQ: e.cq})
	_, mrErr := e.pd.RegisterMR(mem, AccessLocalWrite)
	for what, err := range map[string]error{
		"post": e.qp.Post(Request{Local: Slice{MR: mr}}), "poll": pollErr,
		"create queue pair": qpErr, "register": mrErr,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
	if err := e.ctx.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.ctx.AllocPD(); !errors.Is(err, ErrClosed) {
		t.Errorf("allocate: %v, want ErrClosed", err)
	}
	if err := e.ctx.Alive(); !errors.Is(err, ErrClosed) {
		t.Errorf("alive: %v, want ErrClosed", err)
	}
	if err := mr.Close(); err != nil {
		t.Errorf("a region that its context closed: %v", err)
	}
}

func TestPostBeforeConnect(t *testing.T) {
	e := newEndpoint(t, 4)
	qp, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq})
	if err != nil {
		t.Fatal(err)
	}
	mr := register(t, e.pd, anonymous(t, 4096))
	err = qp.Post(Request{Local: Slice{MR: mr, Length: 1}})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("%v, want EINVAL that says why", err)
	}
}
