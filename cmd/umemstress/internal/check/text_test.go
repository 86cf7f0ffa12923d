package check

import (
	"bytes"
	"strings"
	"testing"

	"umemstress/soft-roce/lab"
)

// What a person is told fits a screen.
func TestCheckText(t *testing.T) {
	h := fixture(t, with9P(withXDP(withV4L2(withFUSE(withNFS(withVMCI(withRxe(rootHost(), "4: ACTIVE"))))))))
	h.dangers[1].Present, h.dangers[1].Effect = true, "an oops panics it"
	h.lab.Needs[0].Missing = true
	h.lab.Needs = append(h.lab.Needs, lab.Need{Program: "mke2fs"})
	var out bytes.Buffer
	if err := h.check().Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"possible here:     a run with RDMA (with --allow-crash), a run with --holder dio (with --allow-crash), a run with --holder vmwritev (with --allow-crash), a run with --holder vmci (with --allow-crash), a run with --holder nfs (with --allow-crash), a run with --holder aio (with --allow-crash), a run with --holder uring (with --allow-crash), a run with --holder fuse (with --allow-crash), a run with --holder v4l2 (with --allow-crash), a run with --holder xdp (with --allow-crash), a run with --holder 9p (with --allow-crash), probes on them all\n",
		"not possible here: the lab\n",
		"btf, ring-buffer, fentry, kprobe-multi, kprobe: available\n",
		"modprobe, mke2fs: installed\n",
		"get it: apt-get install qemu-system-x86\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 30 {
		t.Errorf("%d lines are no screen:\n%s", lines, out.String())
	}
}
