package probes

import (
	"bytes"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/cilium/ebpf/btf"
)

func TestPreemptible(t *testing.T) {
	const dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
	for _, test := range []struct {
		name, model, version string
		want                 bool
	}{
		{"5.10", "", "#1 SMP Debian 5.10.218-1 (2024-06-01)", false},
		{"6.1", "none (voluntary) full \n", dynamic, false},
		{"6.1 with preempt=none", "(none) voluntary full \n", dynamic, false},
		{"6.1 with preempt=full", "none voluntary (full) \n", dynamic, true},
		{"7.2", "full (lazy) \n", dynamic, true},
		{"no debugfs", "", dynamic, true},
		{"not dynamic", "", "#1 SMP PREEMPT_RT Debian 6.1.192-2 (2026-11-16)", true},
	} {
		sysfs := fstest.MapFS{}
		if test.model != "" {
			sysfs[dynamicModel] = &fstest.MapFile{Data: []byte(test.model)}
		}
		if got := (preemption{sysfs, test.version}).preemptible(); got != test.want {
			t.Errorf("%s: preemptible %v, want %v", test.name, got, test.want)
		}
	}
}

func TestMethodOrder(t *testing.T) {
	preempts := preemption{fstest.MapFS{}, "#1 SMP PREEMPT"}
	for name, test := range map[string]struct {
		host  preemption
		types func() (*btf.Spec, error)
		first Method
	}{
		"counts what it skips":   {preempts, typesWith(t, "run_time_ns", "recursion_misses"), KprobeMulti},
		"skips nothing, 5.11":    {preempts, typesWith(t, "run_time_ns"), Fentry},
		"no types":               {preempts, func() (*btf.Spec, error) { return nil, errors.New("no types") }, KprobeMulti},
		"no preemption, no wait": {preemption{fstest.MapFS{}, "#1 SMP"}, nil, Fentry},
	} {
		order := methods(test.host, test.types)
		if len(order) != 3 || order[0] != test.first {
			t.Errorf("%s: %v", name, order)
		}
	}
}

// typesWith makes a kernel's types, of bpf_prog_info with these members.
func typesWith(t *testing.T, members ...string) func() (*btf.Spec, error) {
	t.Helper()
	info := &btf.Struct{Name: "bpf_prog_info", Size: 8 * uint32(len(members))}
	for i, name := range members {
		info.Members = append(info.Members, btf.Member{Name: name, Type: &btf.Int{Name: "u64", Size: 8}, Offset: btf.Bits(64 * i)})
	}
	builder, err := btf.NewBuilder([]btf.Type{info}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	return func() (*btf.Spec, error) { return spec, err }
}
