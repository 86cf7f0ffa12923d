package link

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

func TestPairsHaveSubnetsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for k := range maxPairs {
		p, a := pairAt(k), addrAt(k)
		subnet := a.IP.Mask(a.Mask).String()
		if seen[subnet] || seen[p.first] || seen[p.second] || !a.IP.IsLinkLocalUnicast() {
			t.Errorf("pair %d: %v, %v", k, p, a)
		}
		seen[subnet], seen[p.first], seen[p.second] = true, true, true
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"rxe0": true, "a-b_c.1": true, strings.Repeat("x", 63): true,
		strings.Repeat("x", 64): false, "a/b": false, "rxe%d": false, "a b": false, "..": false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		err   error
		text  string
		usage bool
		lacks bool
	}{
		{addError("rxe0", "eth0", unix.EPERM), "CAP_NET_ADMIN", false, true},
		{addError("rxe0", "eth0", unix.ENOENT), "modprobe crc32_generic", false, true},
		{addError("rxe0", "eth0", unix.EINVAL), "choose an Ethernet netdev", false, true},
		{addError("rxe0", "eth0", unix.ENOMEM), "create link rxe0 over eth0: cannot allocate memory", false, false},
		{addError("rxe0", "nosuchnetdev", unix.EEXIST), "it has the link", true, false},
		{netdevError("eth0", netlink.LinkNotFoundError{}), "none of this name", false, true},
		{netdevError("eth0", unix.EPERM), "run as root", false, true},
		{moduleError("link rxe0", errors.New("modprobe: not found")), "CONFIG_RDMA_RXE", false, true},
		{moduleError("link rxe0", unix.EPERM), "run as root", false, true},
	} {
		var e *Error
		if !errors.As(test.err, &e) || !strings.Contains(e.Error(), test.text) {
			t.Errorf("%v: want %q", test.err, test.text)
			continue
		}
		if e.Usage() != test.usage || e.HostLacks() != test.lacks {
			t.Errorf("%v: usage %v, host lacks %v", e, e.Usage(), e.HostLacks())
		}
	}
}

// A link that is there already is taken; a name or a netdev that something else has is not.
func TestExisting(t *testing.T) {
	devices := []rdma.Device{{Name: "mlx5_0", Driver: "mlx5_core"}, {Name: "rxe0", Driver: rdma.DriverRxe, NetDev: "eth0"}}
	for c, want := range map[Config]string{
		{Name: "rxe0"}:                   "",
		{Name: "rxe0", NetDev: "eth0"}:   "",
		{Name: "rxe0", NetDev: "eth1"}:   "there is a link of this name over eth0",
		{Name: "rxe1", NetDev: "eth0"}:   "it has the link rxe0 already",
		{Name: "mlx5_0"}:                 "there is an RDMA device of this name",
		{Name: "mlx5_0", NetDev: "eth1"}: "there is an RDMA device of this name",
	} {
		d, err := existing(devices, c)
		if want == "" && (err != nil || d == nil || d.Name != "rxe0") || want != "" && (d != nil || err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %+v, %v; want %q", c, d, err, want)
		}
	}
	if d, err := existing(devices, Config{Name: "rxe1"}); d != nil || err != nil {
		t.Errorf("a new one: %+v, %v", d, err)
	}
}

func TestUsersOf(t *testing.T) {
	proc := t.TempDir()
	const file = "/dev/infiniband/uverbs0"
	for pid, targets := range map[string][]string{
		"10": {"/dev/null", file, file},
		"20": {"/dev/null"},
		"30": {file},
	} {
		dir := filepath.Join(proc, pid, "fd")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte("prog"+pid+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for i, target := range targets {
			if err := os.Symlink(target, filepath.Join(dir, string(rune('0'+i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := usersOf(proc, file)
	if want := []string{"process 10 (prog10)", "process 30 (prog30)"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}
