package kernels

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// Fragment is the part of a kernel's configuration that makes it boot in the lab, for
// scripts/kconfig/merge_config.sh.
//
//go:embed kernel.config
var Fragment string

// howToConfigure ends the sentence on a kernel that lacks options.
const howToConfigure = "'umemstress lab config' prints them all as a fragment for scripts/kconfig/merge_config.sh"

// bootOptions are what the guest boots with that no kernel has as a module: of its machine
// and its console, and of what init mounts. The modules are in bootStages.
var bootOptions = []string{
	"64BIT", "PCI", "ACPI", "TTY", "SERIAL_8250", "SERIAL_8250_CONSOLE", "BLK_DEV_INITRD", "BINFMT_ELF", "DEVTMPFS",
	"PROC_FS", "SYSFS", "TMPFS", "UNIX98_PTYS", "CGROUPS", "DEBUG_FS", "FTRACE", "BPF_SYSCALL",
}

// deviceOptions are what soft-RoCE takes.
var deviceOptions = []string{"INET", "VETH", "INFINIBAND_USER_ACCESS", "RDMA_RXE"}

// configuration is what a kernel was configured with, as its .config tells it.
type configuration struct {
	arch    string          // as in arch/ARCH; empty: it is not told
	options dotconfig.Known // none: nothing is known
}

func (c configuration) known() bool { return len(c.options) > 0 }

// hasModules tells whether any option is a module.
func (c configuration) hasModules() bool {
	for _, value := range c.options {
		if value == "m" {
			return true
		}
	}
	return false
}

// without are those of the options that are known to be neither built in nor modules.
func (c configuration) without(options []string) []string {
	if !c.known() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(options), func(option string) bool { return c.options.Has(option) })
}

// otherArch names the architecture of a kernel that is not for the lab's guests.
func (c configuration) otherArch() string {
	switch {
	case !c.known() || c.options.Value("X86_64") == "y":
		return ""
	case c.arch == "x86":
		return "32-bit x86"
	case c.arch == "":
		return "another machine"
	}
	return c.arch
}

// parseConfig takes what is no line of a configuration for nothing, since the file is the kernel's.
func parseConfig(r io.Reader) (configuration, error) {
	settings, arch, err := dotconfig.Parse(r, nil)
	return configuration{arch: arch, options: dotconfig.Of(settings)}, err
}

// readConfig reads the configuration in a file. Without a file, or with an empty path,
// nothing is known.
func readConfig(path string) (configuration, error) {
	if path == "" {
		return configuration{}, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return configuration{}, nil
	} else if err != nil {
		return configuration{}, err
	}
	defer f.Close()
	c, err := parseConfig(f)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// lacking says of a kernel all that it lacks.
func lacking(release string, options []string) error {
	return host.Lacksf("kernel %s has neither built in nor as modules what the guest boots with: it takes %s, and %s",
		release, withPrefix(options), howToConfigure)
}

func withPrefix(options []string) string {
	return "CONFIG_" + strings.Join(options, ", CONFIG_")
}

// CheckDevice refuses a kernel that is known to be configured without soft-RoCE.
func (k *Kernel) CheckDevice() error {
	c, err := readConfig(k.config)
	if err != nil {
		return err
	}
	if lacks := c.without(deviceOptions); len(lacks) > 0 {
		return host.Lacksf("kernel %s is configured without soft-RoCE: it takes %s, and %s; 'lab exec --no-device' boots it without",
			k.Release, withPrefix(lacks), howToConfigure)
	}
	return nil
}

// pmemDrivers make a device of memory that the kernel's command line declares to be persistent.
var pmemDrivers = []module{{"nd_e820", "X86_PMEM_LEGACY"}, {"nd_pmem", "BLK_DEV_PMEM"}}

// CheckPmem refuses a kernel that has no driver of persistent memory.
func (k *Kernel) CheckPmem() error {
	lacks, err := k.withoutModules(pmemDrivers)
	if err != nil || len(lacks) == 0 {
		return err
	}
	return host.Lacksf("kernel %s has no driver for persistent memory: it takes %s; leave --pmem out, or give another kernel: %s", k.Release, withPrefix(lacks), howToConfigure)
}

// siwDriver is soft-iWARP, which is off in Debian's kernels.
var siwDriver = []module{{"siw", "RDMA_SIW"}}

// CheckSiw refuses a kernel that has no soft-iWARP.
func (k *Kernel) CheckSiw() error {
	lacks, err := k.withoutModules(siwDriver)
	if err != nil || len(lacks) == 0 {
		return err
	}
	return host.Lacksf("kernel %s has no soft-iWARP: it takes %s, which Debian's kernels are built without", k.Release, withPrefix(lacks))
}

// withoutModules are the options of those of the modules that are neither there nor built in.
func (k *Kernel) withoutModules(modules []module) (options []string, err error) {
	_, missing, err := stageFiles(k.Modules, bootStage{required: modules})
	for _, m := range missing {
		options = append(options, m.option)
	}
	return options, err
}
