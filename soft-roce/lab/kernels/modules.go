package kernels

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/sirupsen/logrus"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
)

// bootStage is a set of modules that are loaded one after the other. The guest
// loads the stages after the first at the same time.
type bootStage struct {
	name     string   // of the directory in the archive
	required []module // of which the guest must have each, as a module or built in
	wanted   []module // which are loaded where they exist
}

// module is one, and the option of the kernel's configuration that makes it.
type module struct{ name, option string }

// bootStages tells what boots the guest. crc32_generic is what rxe's checksum
// needs without saying so: modinfo names no dependency, and the link is refused
// without it. Newer kernels have the checksum built in.
var bootStages = []bootStage{
	{name: proto.StageBus, required: []module{{"virtio_pci", "VIRTIO_PCI"}, {"virtio_console", "VIRTIO_CONSOLE"}}},
	{name: proto.StageHost, required: []module{{"9p", "9P_FS"}, {"9pnet_virtio", "NET_9P_VIRTIO"}, {"overlay", "OVERLAY_FS"}}},
	{
		name: proto.StageScratch, required: []module{{"virtio_blk", "VIRTIO_BLK"}, {"ext4", "EXT4_FS"}},
		wanted: []module{{"crc32c_generic", "CRYPTO_CRC32C"}},
	},
	{name: proto.StageLoop, wanted: []module{{"loop", "BLK_DEV_LOOP"}}},
	{name: proto.StageDevice, wanted: []module{
		{"crc32_generic", "CRYPTO_CRC32"}, {"veth", "VETH"}, {"ib_uverbs", "INFINIBAND_USER_ACCESS"}, {"rdma_rxe", "RDMA_RXE"},
	}},
	{name: proto.StageNetwork, wanted: []module{{"virtio_net", "VIRTIO_NET"}}},
}

// stageFiles lists the files of a stage's modules, dependencies first. The
// directory dir is that of the release, .../lib/modules/RELEASE, and has been
// through depmod. What is required and is not there is missing.
func stageFiles(dir string, stage bootStage) (files []string, missing []module, err error) {
	release := filepath.Base(dir)
	args := []string{"-C", "/dev/null", "-d", filepath.Join(dir, "../../.."), "-S", release, "--show-depends", "-a"}
	for _, m := range slices.Concat(stage.required, stage.wanted) {
		args = append(args, m.name)
	}
	// The exit code tells only that some module was not found, which is
	// expected of the wanted ones and is checked for the required ones.
	out, err := host.Modprobe.RunAs(context.Background(), host.Call{Env: []string{"MODPROBE_OPTIONS="}}, args...)
	if err != nil && !errors.As(err, new(*host.ToolError)) {
		return nil, nil, err
	}
	files, builtin := parseShowDepends(string(out))
	for _, m := range stage.required {
		isModule := slices.ContainsFunc(files, func(path string) bool { return moduleName(path) == m.name })
		if !isModule && !slices.Contains(builtin, m.name) {
			missing = append(missing, m)
		}
	}
	return files, missing, nil
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

// writeBootModules writes an archive of what the stages load from dir, a
// directory for each stage. The modules are uncompressed, and named so that the
// order of their names is the order to load them in. The configuration, where it is
// known, tells what else the kernel has built in and what it lacks.
func writeBootModules(w io.Writer, dir string, c configuration, log logrus.FieldLogger) error {
	var records []cpio.Record
	release := filepath.Base(dir)
	lacks := c.without(bootOptions)
	var unbuilt, untold []string
	for _, stage := range bootStages {
		files, missing, err := stageFiles(dir, stage)
		if err != nil {
			return err
		}
		for _, m := range missing {
			switch value := c.options.Value(m.option); {
			case value == "y":
			case value == "m":
				unbuilt = append(unbuilt, m.name)
			case !c.known() && !hasBuiltinList(dir):
				untold = append(untold, m.name)
			default:
				lacks = append(lacks, m.option)
			}
		}
		for i, path := range files {
			content, err := readModule(path)
			if err != nil {
				return fmt.Errorf("module %s: %w", path, err)
			}
			name := fmt.Sprintf("%s/%s/%03d-%s.ko", proto.ModulesPath, stage.name, i, moduleName(path))
			records = append(records, cpio.StaticFile(name, string(content), 0o644))
		}
	}
	switch {
	case len(lacks) > 0:
		return lacking(release, lacks)
	case len(unbuilt) > 0:
		return host.Usagef("kernel %s is configured to have %s as modules, and they are not among those that it came with: "+
			"run 'make modules', or give all packages of it, which for Ubuntu are linux-modules and linux-modules-extra, too", release, strings.Join(unbuilt, ", "))
	case len(untold) > 0:
		log.Warnf("lab: nothing tells whether kernel %s has %s built in (no configuration, no modules.builtin); without them it boots no guest", release, strings.Join(untold, ", "))
	}
	return WriteArchive(w, records)
}

// hasBuiltinList tells whether the directory lists what is built in.
func hasBuiltinList(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, "modules.builtin"))
	return err == nil && st.Size() > 0
}

// WriteArchive writes the records, preceded by the directories that they are in.
func WriteArchive(w io.Writer, records []cpio.Record) error {
	archive := cpio.NewDedupWriter(cpio.Newc.Writer(w))
	if err := cpio.WriteRecordsAndDirs(archive, records); err != nil {
		return err
	}
	return cpio.WriteTrailer(archive)
}

// sumSuffix names the file with the SHA-256 of another.
const sumSuffix = ".sha256"

// prepareBootModules writes the archive into a file, if it is not there as it was written. A
// kernel that is given half an archive dies without a word of it. The configuration may be
// in the file config.
func prepareBootModules(path, dir, config string, log logrus.FieldLogger) error {
	if intact(path) {
		return nil
	}
	c, err := readConfig(config)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(writeBootModules(f, dir, c, log), f.Close()); err != nil {
		return err
	}
	sum, err := sha256File(f.Name())
	if err != nil {
		return err
	}
	if isDir(path) { // what else is there is replaced without a gap, since another lab may read it
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return os.WriteFile(path+sumSuffix, []byte(sum), 0o644)
}

// intact tells whether a file is what it was when its hash was written beside it.
func intact(path string) bool {
	want, err := os.ReadFile(path + sumSuffix)
	if err != nil {
		return false
	}
	got, err := sha256File(path)
	return err == nil && got == string(want)
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
