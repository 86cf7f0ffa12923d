package rdma

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree writes a sysfs: paths ending in @ are links.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		name := filepath.Join(root, strings.TrimSuffix(path, "@"))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(path, "@") {
			err = os.Symlink(text, name)
		} else {
			err = os.WriteFile(name, []byte(text+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// rxe0 is a soft-RoCE device as 5.10 shows it over a network card: with a device
// link, which is the card's.
func rxe0(state string) map[string]string {
	const port = "class/infiniband/rxe0/ports/1/"
	return map[string]string{
		"class/infiniband/rxe0/parent":               "veth0",
		"class/infiniband/rxe0/device/driver@":       "../../../bus/pci/drivers/e1000e",
		"class/infiniband_verbs/abi_version":         "6",
		"class/infiniband_verbs/uverbs1/ibdev":       "rxe0",
		"class/infiniband_verbs/uverbs1/abi_version": "2",
		port + "state":             state,
		port + "phys_state":        "5: LinkUp",
		port + "link_layer":        "Ethernet",
		port + "gids/0":            "fe80:0000:0000:0000:1cb6:cfff:fe41:42ad",
		port + "gids/1":            "0000:0000:0000:0000:0000:ffff:0a4d:0001",
		port + "gids/2":            "0000:0000:0000:0000:0000:0000:0000:0000",
		port + "gids/3":            "0000:0000:0000:0000:0000:ffff:0a4d:0002",
		port + "gid_attrs/types/0": "RoCE v2",
		port + "gid_attrs/types/1": "RoCE v2",
		port + "gid_attrs/types/3": "RoCE v2",
		port + "gid_attrs/ndevs/0": "veth0",
		port + "gid_attrs/ndevs/1": "veth0",
		port + "gid_attrs/ndevs/3": "veth0",
	}
}

// mlx is an HCA with two ports, the second InfiniBand.
func mlx(into map[string]string) map[string]string {
	const dev = "class/infiniband/mlx5_0/"
	for path, text := range map[string]string{
		dev + "device/driver@":                       "../../../bus/pci/drivers/mlx5_core",
		"class/infiniband_verbs/uverbs0/ibdev":       "mlx5_0",
		"class/infiniband_verbs/uverbs0/abi_version": "1",
		dev + "ports/1/state":                        "1: DOWN",
		dev + "ports/1/phys_state":                   "3: Disabled",
		dev + "ports/1/link_layer":                   "Ethernet",
		dev + "ports/1/gids/0":                       "fe80:0000:0000:0000:0000:0000:0000:0001",
		dev + "ports/1/gid_attrs/types/0":            "IB/RoCE v1",
		dev + "ports/2/state":                        "2: INIT",
		dev + "ports/2/phys_state":                   "5: LinkUp",
		dev + "ports/2/link_layer":                   "InfiniBand",
		dev + "ports/2/lid":                          "0x1f",
		dev + "ports/2/gids/0":                       "fe80:0000:0000:0000:0000:0000:0000:0002",
	} {
		into[path] = text
	}
	return into
}

func TestDevices(t *testing.T) {
	devices, err := Devices(tree(t, mlx(rxe0("4: ACTIVE"))))
	if err != nil {
		t.Fatal(err)
	}
	if len(devices) != 2 {
		t.Fatalf("%d devices, want 2", len(devices))
	}
	m, r := devices[0], devices[1]
	if m.Name != "mlx5_0" || m.Driver != "mlx5_core" || m.Uverbs != "uverbs0" || m.ABI != 1 || m.NetDev != "" || m.Active() {
		t.Errorf("HCA: %+v", m)
	}
	if len(m.Ports) != 2 || m.Ports[0].State != PortDown || m.Ports[0].PhysState != "Disabled" ||
		m.Ports[1].Number != 2 || m.Ports[1].State != PortInit || m.Ports[1].LinkLayer != "InfiniBand" || m.Ports[1].LID != 31 || m.Ports[0].LID != 0 {
		t.Errorf("ports of the HCA: %+v", m.Ports)
	}
	if r.Name != "rxe0" || r.Driver != DriverRxe || r.Uverbs != "uverbs1" || r.ABI != 2 || r.NetDev != "veth0" || !r.Active() {
		t.Errorf("soft-RoCE: %+v", r)
	}
}

// A soft-iWARP device is told by its description, over whichever netdev: it has none of what other devices are told by, or the network
// card's.
func TestDriver(t *testing.T) {
	const dev = "class/infiniband/x0/"
	for what, of := range map[string]struct {
		files map[string]string
		want  string
	}{
		"siw over a veth pair":    {map[string]string{dev + "node_desc": "Software iWARP stack"}, DriverSIW},
		"siw over a card":         {map[string]string{dev + "node_desc": "Software iWARP stack", dev + "device/driver@": "../../../bus/pci/drivers/e1000e"}, DriverSIW},
		"an HCA":                  {map[string]string{dev + "node_desc": "node1 mlx5_0", dev + "device/driver@": "../../../bus/pci/drivers/mlx5_core"}, "mlx5_core"},
		"soft-RoCE":               {map[string]string{dev + "node_desc": "rxe", dev + "parent": "veth0"}, DriverRxe},
		"one that nobody knows":   {map[string]string{dev + "node_desc": "Software"}, ""},
		"one without description": {map[string]string{dev + "node_type": "1: CA"}, ""},
	} {
		devices, err := Devices(tree(t, of.files))
		if err != nil || len(devices) != 1 || devices[0].Driver != of.want || devices[0].Err != nil {
			t.Errorf("%s: %+v, %v; want the driver %q", what, devices, err, of.want)
		}
	}
}

func TestGIDs(t *testing.T) {
	d, err := FindDevice(tree(t, rxe0("4: ACTIVE")), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []GID
	for g, err := range d.GIDs(1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, g)
	}
	want := []GID{
		{0, netip.MustParseAddr("fe80::1cb6:cfff:fe41:42ad"), typeRoCEv2, "veth0"},
		{1, netip.MustParseAddr("::ffff:10.77.0.1"), typeRoCEv2, "veth0"},
		{3, netip.MustParseAddr("::ffff:10.77.0.2"), typeRoCEv2, "veth0"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, err := range d.GIDs(7) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a port that is not there: %v", err)
		}
	}
}

func TestChooseGID(t *testing.T) {
	files := rxe0("4: ACTIVE")
	find := func() Device {
		d, err := FindDevice(tree(t, files), "rxe0")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for index, want := range map[int]int{AutoGID: 1, 0: 0, 3: 3} {
		if g, err := chooseGID(find(), 1, index); err != nil || g.Index != want {
			t.Errorf("GID %d: chose %v, %v", index, g, err)
		}
	}
	_, err := chooseGID(find(), 1, 2)
	wantText(t, err, true, "GID 2 of port 1 of device rxe0", "choose one of 0 (fe80::1cb6:cfff:fe41:42ad, RoCE v2), 1")
	const gids = "class/infiniband/rxe0/ports/1/gids/"
	const none = "0000:0000:0000:0000:0000:0000:0000:0000"
	files[gids+"1"], files[gids+"3"] = none, none
	if g, err := chooseGID(find(), 1, AutoGID); err != nil || g.Index != 0 {
		t.Errorf("without IPv4: chose %v, %v", g, err)
	}
	files[gids+"0"] = none
	_, err = chooseGID(find(), 1, AutoGID)
	wantText(t, err, true, "port 1 of device rxe0: it has no GID", "give the netdev an address")
}

func TestFindDevice(t *testing.T) {
	both := tree(t, mlx(rxe0("4: ACTIVE")))
	for name, want := range map[string]string{"": "rxe0", "rxe0": "rxe0", "mlx5_0": "mlx5_0"} {
		if d, err := FindDevice(both, name); err != nil || d.Name != want {
			t.Errorf("%q: found %q, %v", name, d.Name, err)
		}
	}
	_, err := FindDevice(both, "rxe1")
	wantText(t, err, true, "find device rxe1", "mlx5_0 (port 1 DOWN, port 2 INIT), rxe0 (port 1 ACTIVE)", "choose one")
	_, err = FindDevice(tree(t, rxe0("1: DOWN")), "")
	wantText(t, err, true, "active port", "rxe0 (port 1 DOWN)", "bring its netdev up")
	for _, name := range []string{"", "rxe0"} {
		_, err = FindDevice(t.TempDir(), name)
		wantText(t, err, true, "this host has no RDMA device", "umemstress soft-roce up")
	}
}

func TestBrokenSysfs(t *testing.T) {
	for _, change := range map[string]func(map[string]string){
		"state":       func(f map[string]string) { f["class/infiniband/rxe0/ports/1/state"] = "ACTIVE" },
		"port number": func(f map[string]string) { f["class/infiniband/rxe0/ports/x/state"] = "4: ACTIVE" },
		"abi_version": func(f map[string]string) { f["class/infiniband_verbs/uverbs1/abi_version"] = "two" },
	} {
		files := rxe0("4: ACTIVE")
		change(files)
		_, err := FindDevice(tree(t, files), "")
		wantText(t, err, false, "device rxe0 in sysfs")
		// It hides no other, and is refused itself.
		root := tree(t, mlx(files))
		devices, err := Devices(root)
		if err != nil || len(devices) != 2 || devices[0].Err != nil {
			t.Fatalf("%+v, %v", devices, err)
		}
		wantText(t, devices[1].Err, false, "device rxe0 in sysfs")
		if d, err := FindDevice(root, "mlx5_0"); err != nil || d.Name != "mlx5_0" {
			t.Errorf("%+v, %v", d, err)
		}
		_, err = FindDevice(root, "rxe0")
		wantText(t, err, false, "device rxe0 in sysfs")
	}
	files := rxe0("4: ACTIVE")
	files["class/infiniband/rxe0/ports/1/gids/1"] = "not a GID"
	d, err := FindDevice(tree(t, files), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = chooseGID(d, 1, AutoGID)
	wantText(t, err, false, "read GID 1 of port 1 of device rxe0")
}

// A port that cannot be read leaves the device its others. A directory in place of a file
// fails as a device in reset does, with another errno.
func TestUnreadablePort(t *testing.T) {
	files := mlx(rxe0("4: ACTIVE"))
	files["class/infiniband/mlx5_0/ports/2/state"] = "4: ACTIVE"
	delete(files, "class/infiniband/mlx5_0/ports/1/state")
	files["class/infiniband/mlx5_0/ports/1/state/x"] = ""
	d, err := FindDevice(tree(t, files), "mlx5_0")
	wantText(t, err, false, "read port 1 of device mlx5_0 in sysfs: is a directory (EISDIR)")
	if len(d.Ports) != 1 || !d.Active() || !errors.Is(d.Err, unix.EISDIR) {
		t.Fatalf("%+v", d)
	}
	if port, err := choosePort(d, 2); err != nil || port.Number != 2 {
		t.Errorf("the port that is well: %+v, %v", port, err)
	}
	_, err = choosePort(d, 1)
	wantText(t, err, false, "read port 1 of device mlx5_0 in sysfs")
	wantText(t, newSysfsError("port 1", unix.EIO), true, "read port 1: input/output error (EIO); the device may be in reset")
	d.Err = nil
	_, err = choosePort(d, 3)
	wantText(t, err, true, "port 3 of device mlx5_0: the device has 1 port")
}

// Where too few descriptors are allowed, that is what is said, and no device is taken for
// one that is gone or of another kind.
func TestTooFewDescriptors(t *testing.T) {
	root := tree(t, rxe0("4: ACTIVE"))
	d, err := FindDevice(root, "rxe0")
	if err != nil {
		t.Fatal(err)
	}
	exhaustDescriptors(t)
	for _, attempt := range []func() error{
		func() error { _, err := FindDevice(root, ""); return err },
		func() error { _, err := FindDevice(root, "rxe0"); return err },
		func() error { _, err := (&Context{device: d}).Path(PathConfig{GIDIndex: AutoGID}); return err },
		func() error { _, err := chooseGID(d, 1, AutoGID); return err },
	} {
		err := attempt()
		wantText(t, err, true, "too many open files (EMFILE); raise the limit of open files (ulimit -n)")
		if errors.Is(err, ErrDeviceGone) {
			t.Errorf("%v", err)
		}
	}
}

// exhaustDescriptors takes all descriptors that this process may have, for the test.
func exhaustDescriptors(t *testing.T) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var taken []int
	t.Cleanup(func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	for {
		fd, err := unix.Dup(2)
		if err != nil {
			return
		}
		taken = append(taken, fd)
	}
}

// wantText checks what a user sees and which exit code it leads to.
func wantText(t *testing.T, err error, lacks bool, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%v is no *Error", err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if e.HostLacks() != lacks {
		t.Errorf("%v: host lacks %v, want %v", err, e.HostLacks(), lacks)
	}
}
