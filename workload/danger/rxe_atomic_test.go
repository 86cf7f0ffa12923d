package danger

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"umemstress/rdma"
)

// answer is struct resp_res with an atomic of such members, as kernels have it: 5.10's and 6.1's differ in these alone.
func answer(atomic string, members ...string) *btf.Struct {
	kept := &btf.Struct{}
	for _, name := range members {
		kept.Members = append(kept.Members, btf.Member{Name: name, Type: &btf.Pointer{Target: &btf.Void{}}})
	}
	read := &btf.Struct{Members: []btf.Member{{Name: "skb", Type: &btf.Int{Size: 8}}}}
	return &btf.Struct{Name: answers, Members: []btf.Member{
		{Name: "type", Type: &btf.Int{Size: 4}},
		{Type: &btf.Union{Members: []btf.Member{{Name: "read", Type: read}, {Name: atomic, Type: kept}}}},
	}}
}

// What rdma_rxe keeps of an atomic operation's answer, its packet or the value, is what its types say; those
// that say neither leave it open.
func TestHasPacket(t *testing.T) {
	if has, err := hasPacket(answer("atomic", "skb")); !has || err != nil {
		t.Errorf("a packet: %v, %v", has, err)
	}
	if has, err := hasPacket(answer("atomic", "orig_val")); has || err != nil {
		t.Errorf("a value: %v, %v", has, err)
	}
	if has, err := hasPacket(answer("flush", "skb")); has || !errors.Is(err, errOtherAnswers) {
		t.Errorf("no atomic: %v, %v", has, err)
	}
}

// Only atomic operations over soft-RoCE are asked about.
func TestRxeAtomicAsked(t *testing.T) {
	for _, c := range []struct {
		driver string
		atomic bool
		want   bool
	}{{rdma.DriverRxe, true, true}, {rdma.DriverRxe, false, false}, {"mlx5_core", true, false}, {"", true, false}} {
		asked := false
		for _, d := range Find(Run{Driver: c.driver, Atomic: c.atomic}) {
			if d.Name != RxeAtomic {
				continue
			}
			asked = true
			if d.Real() && !strings.Contains(d.String(), "sends the answer to an atomic operation twice, of which the kernel dies") {
				t.Errorf("%s", d)
			}
		}
		if asked != c.want {
			t.Errorf("%q, atomic %v: asked %v", c.driver, c.atomic, asked)
		}
	}
}
