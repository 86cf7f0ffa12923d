package kernels

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
)

// bootStage is a set of modules that are loaded one after the other. The guest
// loads the stages after the first at the same time.
type bootStage struct {
	name     string   // of the directory in the archive
	required []string // of which the guest must have each, as a module or built in
	wanted   []string // which are loaded where they exist
}

// bootStages tells what boots the guest. crc32_generic is what rxe's checksum
// needs without saying so: modinfo names no dependency, and the link is refused
// without it. Newer kernels have the checksum built in.
var bootStages = []bootStage{
	{name: proto.StageBus, required: []string{"virtio_pci", "virtio_console"}},
	{name: proto.StageHost, required: []string{"9p", "9pnet_virtio", "overlay"}},
	{name: proto.StageScratch, required: []string{"virtio_blk", "ext4"}, wanted: []string{"crc32c_generic"}},
	{name: proto.StageLoop, wanted: []string{"loop"}},
	{name: proto.StageDevice, wanted: []string{"crc32_generic", "veth", "ib_uverbs", "rdma_rxe"}},
}

// stageFiles lists the files of a stage's modules, dependencies first. The
// directory dir is that of the release, .../lib/modules/RELEASE, and has been
// through depmod.
func stageFiles(dir string, stage bootStage) ([]string, error) {
	release := filepath.Base(dir)
	args := []string{"-C", "/dev/null", "-d", filepath.Join(dir, "../../.."), "-S", release, "--show-depends", "-a"}
	args = append(append(args, stage.required...), stage.wanted...)
	// The exit code tells only that some module was not found, which is
	// expected of the wanted ones and is checked for the required ones.
	out, err := host.Modprobe.RunAs(context.Background(), host.Call{Env: []string{"MODPROBE_OPTIONS="}}, args...)
	if err != nil && !errors.As(err, new(*host.ToolError)) {
		return nil, err
	}
	files, builtin := parseShowDepends(string(out))
	for _, name := range stage.required {
		isModule := slices.ContainsFunc(files, func(path string) bool { return moduleName(path) == name })
		if !isModule && !slices.Contains(builtin, name) {
			return nil, host.Usagef("kernel %s: %s has no module %s, which the guest boots with", release, dir, name)
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

// writeBootModules writes an archive of what the stages load from dir, a
// directory for each stage. The modules are uncompressed, and named so that the
// order of their names is the order to load them in.
func writeBootModules(w io.Writer, dir string) error {
	var records []cpio.Record
	for _, stage := range bootStages {
		files, err := stageFiles(dir, stage)
		if err != nil {
			return err
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
	return WriteArchive(w, records)
}

// WriteArchive writes the records, preceded by the directories that they are in.
func WriteArchive(w io.Writer, records []cpio.Record) error {
	archive := cpio.NewDedupWriter(cpio.Newc.Writer(w))
	if err := cpio.WriteRecordsAndDirs(archive, records); err != nil {
		return err
	}
	return cpio.WriteTrailer(archive)
}

// prepareBootModules writes the archive into a file, if it is not there.
func prepareBootModules(path, dir string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(writeBootModules(f, dir), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
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
