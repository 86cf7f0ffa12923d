package kernels

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/labtest"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig(strings.NewReader("#\n# Linux/x86 6.9.0 Kernel Configuration\n#\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"x=y\"\nCONFIG_E=n\njunk\n"))
	if err != nil || c.arch != "x86" || len(c.options) != 5 || !c.hasModules() {
		t.Errorf("%+v, %v", c, err)
	}
	if got := c.without([]string{"A", "B", "C", "E", "F"}); strings.Join(got, " ") != "C E F" {
		t.Errorf("without %q", got)
	}
	if got := (configuration{}).without([]string{"A"}); got != nil {
		t.Errorf("of what is not known: %q", got)
	}
}

// All options that a kernel lacks are named in one sentence, with what adds them, wherever its
// configuration is.
func TestKernelThatLacksOptions(t *testing.T) {
	lacks := strings.NewReplacer("CONFIG_DEVTMPFS=y\n", "", "CONFIG_OVERLAY_FS=y", "# CONFIG_OVERLAY_FS is not set").Replace(configWithout("9p"))
	want := "kernel " + mine + " has neither built in nor as modules what the guest boots with: it takes CONFIG_DEVTMPFS, CONFIG_9P_FS, CONFIG_OVERLAY_FS, and " +
		"'umemstress lab config' prints them all as a fragment for scripts/kconfig/merge_config.sh"
	built := func(config string) map[string]string { return with(builtTree(), ".config", config) }
	const lib = "lib/modules/" + mine
	for where, content := range map[string]map[string]string{
		".config":           built(lacks),
		"boot/config":       with(installed(), "boot/config-"+mine, lacks),
		"among the modules": with(without(installed(), "boot/config-"+mine), lib+"/config", lacks),
		"in the image":      with(without(builtTree(), ".config"), "vmlinux", imageOf(mine)+labtest.IKConfig(t, lacks)),
	} {
		s, _ := newTestStore(t)
		k, err := s.FromDirectory(t.Context(), files(t, content))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		var host interface{ HostLacks() bool }
		if err := k.CopyBootModules(new(bytes.Buffer), nil); !errors.As(err, &host) || !host.HostLacks() || err.Error() != want {
			t.Errorf("%s: %v, want %s", where, err, want)
		}
	}
	// So it is of an image that is given with its modules.
	dir := files(t, with(installed(), "boot/config-"+mine, lacks))
	k, err := Custom(t.Context(), filepath.Join(dir, "boot/vmlinuz-"+mine), filepath.Join(dir, lib), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.CopyBootModules(new(bytes.Buffer), nil); err == nil || err.Error() != want {
		t.Errorf("with --modules: %v, want %s", err, want)
	}
}

// A module that is configured and not there is no option that is lacking.
func TestKernelThatLacksModulesOfItsConfiguration(t *testing.T) {
	s, _ := newTestStore(t)
	config := strings.Replace(configWithout(""), "CONFIG_9P_FS=y", "CONFIG_9P_FS=m", 1)
	k, err := s.FromDirectory(t.Context(), files(t, with(installed(), "boot/config-"+mine, config)))
	if err != nil {
		t.Fatal(err)
	}
	var usage interface{ Usage() bool }
	if err := k.CopyBootModules(new(bytes.Buffer), nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), "is configured to have 9p as modules, and they are not among those that it came with: run 'make modules', or give all packages") {
		t.Errorf("%v", err)
	}
}

func TestKernelWithoutDevice(t *testing.T) {
	s, _ := newTestStore(t)
	config := strings.NewReplacer("CONFIG_RDMA_RXE=y\n", "", "CONFIG_VETH=y\n", "").Replace(configWithout(""))
	k, err := s.FromDirectory(t.Context(), files(t, with(builtTree(), ".config", config)))
	if err != nil {
		t.Fatal(err)
	}
	var lacks interface{ HostLacks() bool }
	if err := k.CheckDevice(); !errors.As(err, &lacks) || !strings.Contains(err.Error(), "configured without soft-RoCE: it takes CONFIG_VETH, CONFIG_RDMA_RXE, and 'umemstress lab config'") ||
		!strings.Contains(err.Error(), "--no-device") {
		t.Errorf("%v", err)
	}
	if err := k.CopyBootModules(new(bytes.Buffer), nil); err != nil {
		t.Errorf("without the device it boots: %v", err)
	}
}

// Drivers of persistent memory can be modules or built in; a kernel that lacks one is told with its option.
func TestKernelWithoutPmem(t *testing.T) {
	for name, tt := range map[string]struct {
		builtin string
		lacks   string
	}{
		"both":    {"kernel/drivers/nvdimm/nd_pmem.ko\nkernel/drivers/nvdimm/nd_e820.ko\n", ""},
		"one":     {"kernel/drivers/nvdimm/nd_pmem.ko\n", "it takes CONFIG_X86_PMEM_LEGACY; leave --pmem out"},
		"neither": {"", "it takes CONFIG_X86_PMEM_LEGACY, CONFIG_BLK_DEV_PMEM"},
	} {
		dir := filepath.Join(t.TempDir(), "lib/modules/6.9.0")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, filepath.Join(dir, "modules.builtin"), tt.builtin)
		labtest.WriteFile(t, filepath.Join(dir, "modules.order"), "")
		if _, err := host.Depmod.Run(t.Context(), "-b", filepath.Join(dir, "../../.."), "6.9.0"); err != nil {
			t.Fatal(err)
		}
		err := (&Kernel{Release: "6.9.0", Modules: dir}).CheckPmem()
		var lacks interface{ HostLacks() bool }
		if (err != nil) != (tt.lacks != "") || err != nil && (!errors.As(err, &lacks) || !strings.Contains(err.Error(), tt.lacks)) {
			t.Errorf("%s: %v, want %q", name, err, tt.lacks)
		}
	}
}
