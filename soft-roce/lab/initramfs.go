package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/u-root/u-root/pkg/ldd"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/kernels"
)

// buildInitramfs returns a file in memory with the archives that the guest boots
// from: the modules, then init and its spec. The kernel unpacks archives that
// follow each other into one tree.
func buildInitramfs(k *kernels.Kernel, executable, program string, s *proto.Spec, log logrus.FieldLogger) (*os.File, error) {
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	if err := writeInitramfs(f, k, executable, program, s, log); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

func writeInitramfs(f *os.File, k *kernels.Kernel, executable, program string, s *proto.Spec, log logrus.FieldLogger) error {
	if err := k.CopyBootModules(f, log); err != nil {
		return err
	}
	init, err := fileRecord(proto.InitPath, executable)
	if err != nil {
		return err
	}
	records := []cpio.Record{init}
	files, err := loadedFiles(executable, program)
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.Name == proto.InitPath {
			continue
		}
		record, err := fileRecord(file.Name, file.Path)
		if err != nil {
			return err
		}
		records = append(records, record)
	}
	withFiles := *s
	withFiles.Loaded = files
	raw, err := json.Marshal(&withFiles)
	if err != nil {
		return err
	}
	return kernels.WriteArchive(f, append(records, cpio.StaticFile(proto.SpecPath, string(raw), 0o400)))
}

// loadedFiles lists the files of the host that the initramfs has: the executable
// with the interpreter and the libraries that a dynamically linked one needs to
// be init, and for speed the program to run and what programs run most, with theirs.
func loadedFiles(executable, program string) ([]proto.LoadedFile, error) {
	programs := []string{executable, program}
	for _, tool := range []host.Tool{host.Shell, host.Mke2fs} {
		if path, err := tool.Find(); err == nil {
			programs = append(programs, path)
		}
	}
	// Libraries are listed with the symbolic links on the way to them.
	libs, err := ldd.List(programs...)
	if err != nil {
		return nil, fmt.Errorf("libraries of %s: %w", strings.Join(programs, ", "), err)
	}
	var files []proto.LoadedFile
	seen := map[string]bool{}
	for _, name := range append(programs, libs...) {
		if seen[name] {
			continue
		}
		seen[name] = true
		path, err := filepath.EvalSymlinks(name)
		if err != nil {
			return nil, err
		}
		if name == executable {
			name = proto.InitPath
		}
		files = append(files, proto.LoadedFile{Name: name, Path: path})
	}
	return files, nil
}

// fileRecord archives the content of path, not a symbolic link, under name.
func fileRecord(name, path string) (cpio.Record, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return cpio.Record{}, err
	}
	return cpio.StaticFile(name, string(content), 0o755), nil
}
