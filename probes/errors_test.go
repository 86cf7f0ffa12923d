package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"umemstress/probes/lockdown"
)

func TestLacks(t *testing.T) {
	for _, c := range []struct {
		err   error
		lacks bool
		want  []string
	}{
		{fmt.Errorf("map create: %w", unix.EPERM), true, []string{"create BPF maps: not permitted", "CAP_BPF", "map create"}},
		{fmt.Errorf("map create: %w", unix.ENOSYS), true, []string{"the kernel cannot", "CONFIG_BPF_SYSCALL=y"}},
		{fmt.Errorf("ring: %w", ebpf.ErrNotSupported), true, []string{"the kernel cannot", "Linux 5.8"}},
		{unix.ENOMEM, false, []string{"create BPF maps: cannot allocate memory"}},
	} {
		err := lacks("create BPF maps", c.err)
		var host interface{ HostLacks() bool }
		if got := errors.As(err, &host) && host.HostLacks(); got != c.lacks {
			t.Errorf("%v: the host's %v, want %v", c.err, got, c.lacks)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%v is not %v", err, c.err)
		}
		for _, text := range c.want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q is missing in %q", text, err)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	h := hook{purpose: "page dirtied in ext4", module: "ext4", without: "nothing is seen"}
	denied := func(reason string) Attachment {
		return Attachment{Purpose: h.purpose, Denied: []Denial{
			{Symbol: "ext4_dirty_folio", Reason: "the kernel has no struct folio"},
			{"ext4_set_page_dirty", Fentry, reasonNoTypes},
			{"ext4_set_page_dirty", Kprobe, reason},
		}}
	}
	loaded := fstest.MapFS{"module/ext4/refcnt": {}}
	for name, c := range map[string]struct {
		sysfs  fs.FS
		reason string
		want   string
		not    string
	}{
		"not loaded":   {fstest.MapFS{}, reasonNoFunction, "module ext4 is not loaded (load it with modprobe ext4)", "report"},
		"other kernel": {loaded, reasonNoFunction, "kprobe on ext4_set_page_dirty: " + reasonNoFunction + " (this kernel has none", "modprobe"},
		"no privilege": {loaded, reasonNoPrivilege, "kprobe on ext4_set_page_dirty: " + reasonNoPrivilege + " (kprobes take", "modprobe"},
		"no kprobes":   {fstest.MapFS{}, reasonNoKprobes, "CONFIG_KPROBES=y", "modprobe"},
	} {
		a := denied(c.reason)
		err := missing(h, a, []Attachment{a}, c.sysfs)
		var l *LacksError
		if !errors.As(err, &l) || !l.HostLacks() || len(l.Attachments) != 1 {
			t.Errorf("%s: %#v", name, err)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, `cannot watch for "page dirtied in ext4", so nothing is seen`) ||
			!strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestReason(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("somewhere: %w", err) }
	for _, c := range []struct {
		method Method
		err    error
		want   string
	}{
		{Fentry, wrap(ebpf.ErrNotSupported), reasonNoTypes},
		{Fentry, errNoTypes, reasonNoTypes},
		{KprobeMulti, wrap(ebpf.ErrNotSupported), reasonNoMulti},
		{KprobeMulti, wrap(fs.ErrNotExist), reasonNoFunction},
		{Kprobe, errNoKprobes, reasonNoKprobes},
		{Kprobe, wrap(unix.ENOENT), reasonNoFunction},
		{Kprobe, wrap(unix.EPERM), reasonNoPrivilege},
		{RawTracepoint, wrap(unix.ENOENT), "somewhere: no such file or directory"},
		{Kprobe, wrap(unix.EBUSY), "somewhere: device or resource busy"},
	} {
		if got := reasonFor(1000, false, c.method, c.err); got != c.want {
			t.Errorf("%s, %v: %q, want %q", c.method, c.err, got, c.want)
		}
	}
	// Root is not told to become root.
	if got := reasonFor(0, false, Kprobe, wrap(unix.EPERM)); got != reasonEvenRoot || strings.Contains(got, "takes root") {
		t.Errorf("root: %q", got)
	}
	// It may have too few capabilities all the same, which is not the verifier's EACCES.
	if got := reasonFor(0, false, Kprobe, wrap(unix.EACCES)); got != reasonParanoid {
		t.Errorf("perf: %q", got)
	}
	if got := reasonFor(0, false, Kprobe, &ebpf.VerifierError{Cause: unix.EACCES}); got == reasonParanoid {
		t.Errorf("the verifier: %q", got)
	}
}

// A kernel in lockdown for confidentiality is named, with the way out, whatever it says itself: what its
// programs may no longer call it does not know.
func TestLockdown(t *testing.T) {
	locked := fstest.MapFS{"kernel/security/lockdown": {Data: []byte("none integrity [confidentiality]\n")}, "module/ext4/refcnt": {}}
	h := hook{purpose: "page dirtied in ext4", module: "ext4", without: "nothing is seen"}
	a := Attachment{Denied: []Denial{{"ext4_set_page_dirty", Kprobe, "invalid argument: unknown func bpf_probe_read_kernel#113"}}}
	err := missing(h, a, []Attachment{a}, locked)
	var l *LacksError
	if !errors.As(err, &l) || !l.HostLacks() || len(l.Attachments) != 1 || err.Error() != "probes: "+reasonLockdown+" ("+lockdown.Remedy+")" {
		t.Errorf("%v", err)
	}
	unknown := &ebpf.VerifierError{Cause: unix.EINVAL}
	for _, err := range []error{unix.EPERM, unknown} {
		if got := reasonFor(0, true, Kprobe, err); got != reasonLockdown {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := reasonFor(0, true, Kprobe, unix.ENOENT); got != reasonNoFunction {
		t.Errorf("no function: %q", got)
	}
	if got := reasonFor(0, false, Kprobe, unknown); got == reasonLockdown {
		t.Errorf("%q, though it is not locked down", got)
	}
}

func TestDenialString(t *testing.T) {
	if got := (Denial{"f", Kprobe, "no"}).String(); got != "kprobe on f: no" {
		t.Error(got)
	}
	if got := (Denial{Symbol: "f", Reason: "no"}).String(); got != "f: no" {
		t.Error(got)
	}
}

func TestBadRingSize(t *testing.T) {
	for _, size := range []int{-1, 1, 80, 2048, 4097, 100_000} {
		_, err := Attach(Options{Events: size})
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() || !strings.Contains(err.Error(), fmt.Sprint(size)) {
			t.Errorf("%d: %v", size, err)
		}
	}
}

func TestBadHolder(t *testing.T) {
	_, err := Attach(Options{Holders: []string{"rdma"}})
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !usage.Usage() || !strings.Contains(err.Error(), `"rdma": it is one of umem, dio, vmwritev, vmci, nfs, fuse, v4l2`) {
		t.Errorf("%v", err)
	}
}

// Whoever calls it, every feature is there or has a reason why not and a remedy.
func TestSupported(t *testing.T) {
	list := Supported()
	if len(list) != 5 {
		t.Errorf("%d features", len(list))
	}
	for _, f := range list {
		t.Logf("%+v", f)
		if f.Name == "" || f.Without == "" || f.Remedy == "" || f.Available != (f.Reason == "") || f.Available && f.Denied {
			t.Errorf("%+v", f)
		}
	}
}

func TestModuleWithoutTypes(t *testing.T) {
	a := &attacher{sysfs: fstest.MapFS{
		"module/old/initstate": {},
		"module/new/initstate": {}, "kernel/btf/new": {},
		"module/builtin/parameters": {},
	}}
	for module, want := range map[string]bool{"old": true, "new": false, "builtin": false, "absent": false} {
		if got := a.moduleWithoutTypes(module); got != want {
			t.Errorf("%s: %v", module, got)
		}
	}
}
