package build

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// small is what makes the rest of the configuration small, and sensible, where all that is
// not asked for is off (make allnoconfig).
//
//go:embed small.config
var small string

// setting is an option of a kernel's configuration and its value.
type setting = dotconfig.Setting

// parseConfig reads a fragment, or a whole configuration, and refuses what is neither.
func parseConfig(name, text string) ([]setting, error) {
	settings, _, err := dotconfig.Parse(strings.NewReader(text), func(number int, line string) error {
		return host.Usagef("%s:%d: %.40q is no line of a kernel's configuration: write CONFIG_NAME=y, =m or =VALUE, or '# CONFIG_NAME is not set'", name, number, line)
	})
	if err != nil && !errors.As(err, new(interface{ Usage() bool })) {
		return nil, host.Usagef("%s: %v", name, err)
	}
	return settings, err
}

// ours is the lab's own configuration.
func ours() ([]setting, error) {
	needed, err := parseConfig("kernel.config", kernels.Fragment)
	if err != nil {
		return nil, err
	}
	rest, err := parseConfig("small.config", small)
	return dotconfig.Merge(needed, rest), err
}

// notKept are the settings that are otherwise in the configuration that came of them. What
// was to be a module may be built in.
func notKept(asked []setting, got dotconfig.Known) []setting {
	var lost []setting
	for _, s := range asked {
		if have := got.Value(s.Option); have != s.Value && (s.Value != "m" || have != "y") {
			lost = append(lost, s)
		}
	}
	return lost
}

// essential are the options without which a guest cannot boot, or tells nothing.
var essential = []struct {
	option string
	module bool   // it may be one
	why    string // what goes without it
}{
	{"CONFIG_64BIT", false, "the host's programs"},
	{"CONFIG_PCI", false, "the guest's devices"},
	{"CONFIG_ACPI", false, "the guest's machine"},
	{"CONFIG_SERIAL_8250_CONSOLE", false, "the console"},
	{"CONFIG_BLK_DEV_INITRD", false, "the init"},
	{"CONFIG_BINFMT_ELF", false, "the init"},
	{"CONFIG_DEVTMPFS", false, "the init"},
	{"CONFIG_PROC_FS", false, "the init"},
	{"CONFIG_SYSFS", false, "the init"},
	{"CONFIG_TMPFS", false, "the init"},
	{"CONFIG_UNIX", false, "the init"},
	{"CONFIG_MODULES", false, "modprobe"},
	{"CONFIG_VIRTIO_PCI", true, "virtio"},
	{"CONFIG_VIRTIO_CONSOLE", true, "virtio"},
	{"CONFIG_VIRTIO_BLK", true, "virtio"},
	{"CONFIG_9P_FS", true, "9p, the host's files"},
	{"CONFIG_NET_9P_VIRTIO", true, "9p, the host's files"},
	{"CONFIG_OVERLAY_FS", true, "the scratch layer over them"},
	{"CONFIG_EXT4_FS", true, "the scratch disk"},
	{"CONFIG_BPF_SYSCALL", false, "the probes"},
	{"CONFIG_KPROBE_EVENTS", false, "the probes"},
	{"CONFIG_DEBUG_INFO_BTF", false, "BTF, for the probes"},
}

// checkBootable refuses a configuration that the lab has no use for, and names all that it
// lacks.
func checkBootable(got dotconfig.Known) error {
	var lacks []string
	for _, e := range essential {
		if v := got.Value(e.option); v != "y" && (v != "m" || !e.module) {
			lacks = append(lacks, fmt.Sprintf("%s (%s)", e.option, e.why))
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return host.Usagef("a kernel of this configuration cannot be used in the lab: it lacks %s; do not turn them off with --config, and build a kernel that has them (Linux 5.8 or newer)",
		strings.Join(lacks, ", "))
}

// maxNamed is how many options a message names.
const maxNamed = 12

func optionNames(settings []setting) string {
	var names []string
	for _, s := range settings[:min(len(settings), maxNamed)] {
		names = append(names, s.Option+"="+s.Value)
	}
	if more := len(settings) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
