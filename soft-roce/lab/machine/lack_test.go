package machine

import (
	"strings"
	"testing"
)

func TestKVMLack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		host  AccelHost
		lacks string
	}{
		{"no virtualization, device there", fakeHost(t, "fpu sse", true), "neither vmx nor svm"},
		{"no device", fakeHost(t, "fpu vmx", false), "no such file"},
		{"Intel", fakeHost(t, "fpu vmx", true), ""},
		{"AMD", fakeHost(t, "svm fpu", true), ""},
		{"no cpuinfo", AccelHost{Proc: t.TempDir()}, "cpuinfo"},
	} {
		lack := tt.host.Lack()
		if tt.lacks == "" && lack != nil || tt.lacks != "" && (lack == nil || !strings.Contains(lack.Reason, tt.lacks)) {
			t.Errorf("%s: %+v, want %q", tt.name, lack, tt.lacks)
		}
	}
}
