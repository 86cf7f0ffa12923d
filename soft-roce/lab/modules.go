package lab

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// requiredModules boot the guest; a kernel that has one neither as a module nor
// built in cannot be the lab's.
var requiredModules = []string{
	"virtio_pci", "virtio_blk", "virtio_console",
	"9p", "9pnet_virtio", "overlay", "ext4",
}

// wantedModules are loaded where they exist. crc32_generic is what rxe's
// checksum needs without saying so: modinfo names no dependency, and the link
// is refused without it. Newer kernels have the checksum built in.
var wantedModules = []string{
	"virtio_rng", "loop", "veth", "crc32_generic", "crc32c_generic",
	"ib_uverbs", "rdma_ucm", "rdma_rxe",
}

// bootModules lists the module files to load, dependencies first. The directory
// dir is that of the release, .../lib/modules/RELEASE, and has been through
// depmod.
func bootModules(dir string) ([]string, error) {
	modprobe, err := findTool("modprobe", "kmod")
	if err != nil {
		return nil, err
	}
	release := filepath.Base(dir)
	base := filepath.Join(dir, "../../..")
	args := []string{"-C", "/dev/null", "-d", base, "-S", release, "--show-depends", "-a"}
	cmd := exec.Command(modprobe, append(append(args, requiredModules...), wantedModules...)...)
	cmd.Env = []string{"MODPROBE_OPTIONS="}
	// The exit code tells only that some module was not found, which is
	// expected of the wanted ones and is checked for the required ones.
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	files, builtin := parseShowDepends(string(out))
	for _, name := range requiredModules {
		isModule := slices.ContainsFunc(files, func(path string) bool { return moduleName(path) == name })
		if !isModule && !slices.Contains(builtin, name) {
			return nil, usagef("kernel %s: %s has no module %s, which the guest boots with", release, dir, name)
		}
	}
	return files, nil
}

// parseShowDepends reads the output of modprobe --show-depends: the files to
// load, each once, and the names of what is built in.
func parseShowDepends(out string) (files, builtin []string) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "insmod":
			if !slices.Contains(files, fields[1]) {
				files = append(files, fields[1])
			}
		case "builtin":
			builtin = append(builtin, fields[1])
		}
	}
	return files, builtin
}

// moduleName is the name of the module in a file such as virtio-rng.ko.xz.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// writeBootModules writes an archive of the modules, uncompressed and named so
// that the order of their names is the order to load them in.
func writeBootModules(w io.Writer, files []string) error {
	var records []cpio.Record
	for i, path := range files {
		content, err := readModule(path)
		if err != nil {
			return fmt.Errorf("module %s: %w", path, err)
		}
		name := fmt.Sprintf("%s/%03d-%s.ko", modulesPath, i, moduleName(path))
		records = append(records, cpio.StaticFile(name, string(content), 0o644))
	}
	return writeArchive(w, records)
}

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader
	switch filepath.Ext(path) {
	case ".ko":
		r = f
	case ".xz":
		r, err = xz.NewReader(f)
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(f); err == nil {
			defer d.Close()
			r = d
		}
	case ".gz":
		r, err = gzip.NewReader(f)
	default:
		err = errors.New("unknown compression")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
