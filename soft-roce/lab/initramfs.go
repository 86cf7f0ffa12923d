package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/u-root/u-root/pkg/ldd"
	"golang.org/x/sys/unix"
)

// buildInitramfs returns a file in memory with the archives that the guest boots
// from: the modules, then init and its spec. The kernel unpacks archives that
// follow each other into one tree.
func buildInitramfs(k *Kernel, executable string, s *spec) (*os.File, error) {
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	if err := writeInitramfs(f, k, executable, s); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

func writeInitramfs(f *os.File, k *Kernel, executable string, s *spec) error {
	if err := k.copyBootModules(f); err != nil {
		return err
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	records := []cpio.Record{cpio.StaticFile(specPath, string(raw), 0o400)}
	init, err := fileRecord(initPath, executable)
	if err != nil {
		return err
	}
	records = append(records, init)
	// A dynamically linked executable needs its interpreter and libraries.
	libs, err := ldd.List(executable)
	if err != nil {
		return fmt.Errorf("libraries of %s: %w", executable, err)
	}
	for _, lib := range libs {
		if lib == executable {
			continue
		}
		record, err := fileRecord(lib, lib)
		if err != nil {
			return err
		}
		records = append(records, record)
	}
	return writeArchive(f, records)
}

// writeArchive writes the records, preceded by the directories that they are in.
func writeArchive(w io.Writer, records []cpio.Record) error {
	archive := cpio.NewDedupWriter(cpio.Newc.Writer(w))
	if err := cpio.WriteRecordsAndDirs(archive, records); err != nil {
		return err
	}
	return cpio.WriteTrailer(archive)
}

// fileRecord archives the content of path, not a symbolic link, under name.
func fileRecord(name, path string) (cpio.Record, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return cpio.Record{}, err
	}
	return cpio.StaticFile(name, string(content), 0o755), nil
}
