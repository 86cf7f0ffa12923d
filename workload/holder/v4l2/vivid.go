package v4l2

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/module"
)

// vividDriver is what vivid calls itself.
const vividDriver = "vivid"

// Modules are those that the holder needs where it is given no device: vivid with one device that
// captures, and whose buffers may be of scattered pages.
func Modules() module.Set {
	return module.Set{
		Top: vividDriver, Parameters: []string{"n_devs=1", "node_types=0x1", "allocators=0"},
		Unload: []string{
			vividDriver, "v4l2_tpg", "v4l2_dv_timings", "videobuf2_dma_contig", "videobuf2_dma_sg", "videobuf2_vmalloc", "videobuf2_memops",
			"videobuf2_v4l2", "videobuf2_common", "videodev", "mc", "cec", "rc_core",
		},
		Busy: vividDriver, Options: "CONFIG_VIDEO_VIVID",
	}
}

// loaded says whether vivid is there.
func loaded(sysfs string) bool {
	_, err := os.Stat(filepath.Join(sysfs, "module", vividDriver))
	return err == nil
}

// openVivid opens a device of vivid, whoever loaded it.
func openVivid(sysfs string, target int64) (*device, error) {
	var errs []error
	for _, n := range vividNodes(sysfs) {
		d, err := openDevice(n, target)
		if err == nil {
			return d, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, fault.Lacksf("the module vivid is loaded without a device that captures into scattered pages; rmmod vivid, so that the run loads it as it needs it, or name another device with --v4l2-dev")
	}
	if all := errors.Join(errs...); errors.Is(all, errBusy) {
		return nil, fault.Lacksf("%w; wait until that is over, or name another device with --v4l2-dev", errs[slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, errBusy) })])
	}
	return nil, errs[0]
}

// vividNodes are the devices of vivid that capture video into scattered pages.
func vividNodes(sysfs string) (nodes []node) {
	allocators, _ := os.ReadFile(filepath.Join(sysfs, "module/vivid/parameters/allocators")) // without it, all are such
	instances := strings.Split(strings.TrimSpace(string(allocators)), ",")
	devices, _ := filepath.Glob(filepath.Join(sysfs, "class/video4linux/video*"))
	for _, d := range devices {
		name, err := os.ReadFile(filepath.Join(d, "name"))
		if err != nil {
			continue
		}
		instance := 0
		if _, err := fmt.Sscanf(string(name), "vivid-%d-vid-cap", &instance); err != nil {
			continue
		}
		if instance >= len(instances) || instances[instance] == "" || instances[instance] == "0" {
			nodes = append(nodes, node{path: "/dev/" + filepath.Base(d)})
		}
	}
	return nodes
}
