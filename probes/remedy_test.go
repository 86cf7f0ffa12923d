package probes

import "testing"

func TestSuffice(t *testing.T) {
	for _, tt := range []struct {
		name            string
		available       []string
		attach, suffice bool
	}{
		{"everything", []string{"btf", "ring-buffer", "fentry", "kprobe-multi", "kprobe"}, true, true},
		{"kprobes alone", []string{"btf", "ring-buffer", "kprobe"}, true, true},
		{"no types", []string{"ring-buffer", "kprobe"}, true, false},
		{"no ring", []string{"btf", "fentry"}, true, false},
		{"no way to attach", []string{"btf", "ring-buffer"}, false, false},
		{"nothing", nil, false, false},
	} {
		list := []Feature{{Name: "kprobe-multi", Reason: reasonNoMulti}}
		for _, name := range tt.available {
			list = append(list, Feature{Name: name, Available: true})
		}
		if CanAttach(list) != tt.attach || Suffice(list) != tt.suffice {
			t.Errorf("%s: can attach %v, suffice %v", tt.name, CanAttach(list), Suffice(list))
		}
	}
}
