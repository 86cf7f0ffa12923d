package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
)

// scratchFilesystem is that of a run by default.
const scratchFilesystem = "ext4"

// touchy are the file systems that pages dirtied unannounced are known to hurt,
// on some kernels, and what they keep or need.
var touchy = []struct{ name, keeps string }{
	{"ext4", "it keeps buffers on every dirty page, and needs to be told before one is dirtied"},
	{"xfs", "it needs to be told of a write, to give blocks shared with a clone a copy first"},
	{"btrfs", "it needs to be told of a write, since it writes nothing in place"},
	{"nfs", needsRequest},
	{"nfs4", needsRequest},
}

const needsRequest = "it needs to be told of a write, to send the page to its server"

func (h *host) mounts() ([]*mountinfo.Info, error) {
	f, err := os.Open(filepath.Join(h.proc, "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountinfo.GetMountsFromReader(f, nil)
}

// filesystemItems lists where a writable file-backed region can be made on a file
// system that must be told of writes. Whether that does harm here only a run can
// tell.
func (h *host) filesystemItems(mounts []*mountinfo.Info, err error) []Item {
	if err != nil {
		return []Item{{Name: "file systems", State: Warning, Detail: err.Error(),
			Costs: "which file systems are exposed is not known", Remedy: "mount /proc"}}
	}
	var items []Item
	for _, fs := range touchy {
		points := mountPoints(mounts, fs.name)
		if len(points) == 0 {
			continue
		}
		items = append(items, Item{Name: fs.name, State: OK,
			Detail: fmt.Sprintf("writable file-backed regions possible on %s; %s", few(points), fs.keeps)})
	}
	if len(items) == 0 {
		items = append(items, Item{Name: "file systems", State: OK,
			Detail: "none of ext4, xfs, btrfs and nfs is mounted read-write"})
	}
	return items
}

// mountPoints returns where the file systems of a type are mounted writable, each
// once and by its shortest path. With DAX there are no pages to lose.
func mountPoints(mounts []*mountinfo.Info, fstype string) []string {
	shortest := map[string]string{}
	for _, m := range mounts {
		device := fmt.Sprintf("%d:%d", m.Major, m.Minor)
		if m.FSType != fstype || !writable(m) {
			continue
		}
		if old, ok := shortest[device]; !ok || len(m.Mountpoint) < len(old) {
			shortest[device] = m.Mountpoint
		}
	}
	var points []string
	for _, point := range shortest {
		points = append(points, point)
	}
	slices.Sort(points)
	return points
}

func writable(m *mountinfo.Info) bool {
	super := strings.Split(m.VFSOptions, ",")
	return slices.Contains(strings.Split(m.Options, ","), "rw") && slices.Contains(super, "rw") &&
		!slices.Contains(super, "dax") && !slices.Contains(super, "dax=always")
}

func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// scratchItem says whether a run can make its scratch file system. Without, a run
// can still use a file of the user's, if there is a place for one.
func (h *host) scratchItem(mounts []*mountinfo.Info) Item {
	var lack, remedy []string
	if err := h.loopControl(); err != nil {
		lack = append(lack, "no loop device: "+err.Error())
		if h.uid == 0 {
			remedy = append(remedy, "modprobe loop (in a container: pass /dev/loop-control and /dev/loopN in)")
		}
	}
	mkfs, pkg := filesystem.ToolOf(scratchFilesystem)
	if !h.haveProgram(mkfs) {
		lack = append(lack, "no "+mkfs)
		remedy = append(remedy, "apt-get install "+pkg)
	}
	if !h.has(unix.CAP_SYS_ADMIN) {
		lack = append(lack, "no CAP_SYS_ADMIN to mount it")
		remedy = append(remedy, h.asRoot("give the container CAP_SYS_ADMIN"))
	}
	if len(lack) == 0 {
		return Item{Name: "scratch", State: OK, Detail: "loop device, " + mkfs + " and the right to mount"}
	}
	i := Item{Name: "scratch", State: Missing, Detail: strings.Join(lack, "; "),
		Costs: "no run, unless --file names a new file on an ext4 of yours", Remedy: strings.Join(remedy, "; ")}
	if dir := h.ext4Dir(mounts); dir != "" {
		i.State = Warning
		i.Costs = "a run needs --file PATH, with PATH a new file on ext4"
		i.Remedy = "--file " + filepath.Join(dir, "umemstress.file") + " would do; or " + i.Remedy
	}
	return i
}

// loopControl tries the node, but only by its mode while the driver is not
// loaded: opening it would load it.
func (h *host) loopControl() error {
	path := filepath.Join(h.dev, "loop-control")
	if _, err := os.Stat(filepath.Join(h.sys, "class/misc/loop-control")); err != nil {
		if err := h.access(path, unix.R_OK|unix.W_OK); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	return h.open(path)
}

// ext4Dir returns a directory on a writable ext4 that this user can make files in.
func (h *host) ext4Dir(mounts []*mountinfo.Info) string {
	for _, dir := range h.workDirs {
		var stat unix.Stat_t
		if unix.Stat(dir, &stat) != nil || h.access(dir, unix.W_OK|unix.X_OK) != nil {
			continue
		}
		for _, m := range mounts {
			if m.Major == int(unix.Major(stat.Dev)) && m.Minor == int(unix.Minor(stat.Dev)) && m.FSType == "ext4" && writable(m) {
				return dir
			}
		}
	}
	return ""
}
