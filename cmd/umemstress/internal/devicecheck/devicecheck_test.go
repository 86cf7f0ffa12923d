package devicecheck

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// Without the device the first step fails for what the host lacks, the others are skipped, and
// there is nothing to close.
func TestNoDevice(t *testing.T) {
	d := Run(t.Context(), Config{Device: "nosuch0", Backend: rdma.AutoBackend, GIDIndex: rdma.AutoGID})
	if d.Works() || !d.HostLacks() {
		t.Errorf("works %v, host lacks %v", d.Works(), d.HostLacks())
	}
	for i, s := range d.Steps {
		want := Skipped
		switch i {
		case 0:
			want = Failed
		case len(d.Steps) - 1:
			want = OK
		}
		if s.State != want {
			t.Errorf("step %s: %s, want %s", s.Name, s.State, want)
		}
	}
	var text bytes.Buffer
	if err := d.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"find", "failed", "nosuch0", "skipped", `It ends at the step "find", for what this host lacks.`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
}

// A step that fails says errno, or the status and the vendor's word of a request.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Step
	}{
		{unix.ENOMEM, Step{Errno: "ENOMEM"}},
		{&rdma.CompletionError{Completion: rdma.Completion{Status: rdma.StatusRemoteAccess, VendorErr: 0x88}}, Step{Status: 10, VendorErr: 0x88}},
		{errors.New("odd"), Step{}},
	} {
		got := try(t.Context(), step{name: "s", choice: true, do: func(context.Context) (string, error) { return "half", c.err }})
		c.want.Name, c.want.State, c.want.Detail, c.want.Seconds = "s", Failed, c.err.Error(), got.Seconds
		if got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	none := &rdma.Error{Op: "create", Object: "UC queue pair", Errno: unix.EOPNOTSUPP}
	for choice, want := range map[bool]State{true: Absent, false: Failed} {
		got := try(t.Context(), step{name: "s", choice: choice, do: func(context.Context) (string, error) { return "", none }})
		if got.State != want || got.Detail != none.Error() {
			t.Errorf("none there, of choice %v: %+v", choice, got)
		}
	}
	d := Document{Facts: Facts{Name: "mlx5_0"}, Steps: []Step{{Name: "write", State: OK}, {Name: "wrong key", State: Failed}}}
	if got, want := d.sentence(), `It ends at the step "wrong key": a run would end there, too.`; got != want || d.HostLacks() {
		t.Errorf("%q, want %q", got, want)
	}
	d.Steps = d.Steps[:1]
	if got, want := d.sentence(), "mlx5_0 does all that a run asks of it."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLibrariesOfRDMACore(t *testing.T) {
	for name, want := range map[string]bool{
		"libibverbs.so.1.14.44.0": true, "libmlx5.so.1.24.44.0": true, "librxe-rdmav34.so": true,
		"libc.so.6": false, "libnl-3.so.200": false, "libibverbsx.so": false,
	} {
		if got := ofRDMACore.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What a port is reached by is told, and nothing else.
func TestWayOf(t *testing.T) {
	gid := rdma.GID{Index: 1, Addr: netip.MustParseAddr("::ffff:10.77.0.1"), Type: "RoCE v2"}
	for want, path := range map[string]rdma.Path{
		"port 1, GID 1 (::ffff:10.77.0.1, RoCE v2), MTU 4096": {Port: 1, GID: gid, MTU: 4096},
		"port 2, LID 4, MTU 2048":                             {Port: 2, LID: 4, MTU: 2048},
	} {
		if got := wayOf(path); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
