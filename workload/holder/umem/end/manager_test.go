package end

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/rdma"
)

// A device of iWARP is refused what it does not do, with what to give in place of it, and no other device is.
func TestFits(t *testing.T) {
	sysfs := t.TempDir()
	device := func(name, nodeType string) rdma.Device {
		t.Helper()
		dir := filepath.Join(sysfs, "class/infiniband", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "node_type"), []byte(nodeType+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := rdma.FindDevice(sysfs, name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	iwarp, adapter := device("siw0", "4: RNIC"), device("mlx5_0", "1: CA")
	for _, verb := range Verbs() {
		for _, manager := range []bool{false, true} {
			c := Config{Verb: verb, Manager: manager}
			if err := c.fits(adapter); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			says := ""
			switch {
			case !manager:
				says = "device siw0 is of iWARP, whose queue pairs the connection manager alone connects; give --rdma-cm"
			case verb != "write" && verb != "read" && verb != "send":
				says = "which has no --verb " + verb
			}
			if err := c.fits(iwarp); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: %v, want %q", c, err, says)
			}
		}
	}
}

// The end of a device that the connection manager is to connect goes through the library that it belongs to.
func TestThrough(t *testing.T) {
	for _, of := range []struct {
		config Config
		want   rdma.Backend
	}{
		{Config{Backend: "auto"}, rdma.Uverbs}, {Config{Backend: "auto", Manager: true}, rdma.IBVerbs},
		{Config{Backend: "uverbs", Manager: true}, rdma.Uverbs}, {Config{Backend: "ibverbs"}, rdma.IBVerbs},
	} {
		e := &End{config: of.config, info: rdma.Device{Driver: rdma.DriverRxe}}
		if got, why := e.through(); got != of.want || why == "" {
			t.Errorf("%+v: %s, since %s", of.config, got, why)
		}
	}
}
