package rdma

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// Whatever sysfs says: it is refused, or means something. Entries of a directory
// have names that a directory can have.
func FuzzSysfs(f *testing.F) {
	f.Add("1", "4: ACTIVE", "5: LinkUp", "Ethernet", "2", "0000:0000:0000:0000:0000:ffff:0a4d:0001", "RoCE v2")
	f.Add("2", "1: DOWN", "", "InfiniBand", "6", "fe80:0000:0000:0000:1cb6:cfff:fe41:42ad", "0x1f")
	f.Add("0", "ACTIVE", "LinkUp", "", "two", "fe80::1%eth0", "")
	f.Add("+1", "-4: ACTIVE", ": ", "\x00", "-1", "10.77.0.1", "\x1b[2J")
	f.Add("256", "99999999999999999999:", "5:LinkUp", "Ethernet\nx", "0x2", "::", "RoCE v2\n")
	f.Add("01", "4", "", "", "", "0000:0000:0000:0000:0000:0000:0000:0000", "")
	root := f.TempDir()
	number := 0
	f.Fuzz(func(t *testing.T, port, state, phys, layer, abi, gid, kind string) {
		if !filepath.IsLocal(port) || filepath.Base(port) != port || port == "." || len(port) > 255 {
			t.Skip("no name of a directory entry")
		}
		number++
		sysfs := filepath.Join(root, filepath.Base(t.Name()), string(rune('a'+number%26)))
		if err := os.RemoveAll(sysfs); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(sysfs, "class/infiniband/rxe0/ports", port)
		uverbs := filepath.Join(sysfs, "class/infiniband_verbs/uverbs0")
		for name, text := range map[string]string{
			filepath.Join(dir, "state"): state, filepath.Join(dir, "phys_state"): phys, filepath.Join(dir, "link_layer"): layer, filepath.Join(dir, "lid"): kind,
			filepath.Join(dir, "gids/0"): gid, filepath.Join(dir, "gid_attrs/types/0"): kind,
			filepath.Join(uverbs, "ibdev"): "rxe0\n", filepath.Join(uverbs, "abi_version"): abi,
		} {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Skip("no name of a directory entry")
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		devices, err := Devices(sysfs)
		if err != nil || len(devices) == 1 && devices[0].Err != nil {
			return
		}
		if len(devices) != 1 || len(devices[0].Ports) != 1 {
			t.Fatalf("%+v", devices)
		}
		p := devices[0].Ports[0]
		if p.Number < 1 || p.Number > maxPort || p.State < 0 || p.State > 255 || devices[0].ABI < 0 {
			t.Errorf("%+v", devices[0])
		}
		for g, err := range devices[0].GIDs(p.Number) {
			if err != nil {
				continue
			}
			if !g.Addr.Is6() || g.Addr.Zone() != "" || g.Addr == netip.IPv6Unspecified() {
				t.Errorf("%q is taken for the GID %v", gid, g.Addr)
			}
			if again := netip.AddrFrom16(g.Addr.As16()); again != g.Addr {
				t.Errorf("%v crosses the seam as %v", g.Addr, again)
			}
		}
	})
}
