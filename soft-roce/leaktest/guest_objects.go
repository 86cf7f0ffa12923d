//go:build guest

package leaktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// bpfObjects are the programs, maps and links that the kernel holds, whoever loaded them.
func bpfObjects(found things) error {
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		id = next
		if program, err := ebpf.NewProgramFromID(id); err == nil { // else it has gone
			if info, err := program.Info(); err == nil {
				found.add("BPF program %d (%s, %s)", id, info.Name, info.Type)
			}
			program.Close()
		}
	}
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		id = next
		if m, err := ebpf.NewMapFromID(id); err == nil {
			if info, err := m.Info(); err == nil {
				found.add("BPF map %d (%s, %s)", id, info.Name, info.Type)
			}
			m.Close()
		}
	}
	links := new(link.Iterator)
	defer links.Close()
	for links.Next() {
		found.add("BPF link %d", links.ID)
	}
	return links.Err()
}

// rdmaResources are the objects that the kernel counts for each RDMA device, its own among
// them: contexts, protection domains, memory regions, queues.
func rdmaResources(found things) error {
	if there, err := os.ReadDir("/sys/class/infiniband"); len(there) == 0 {
		if errors.Is(err, fs.ErrNotExist) { // nothing needs the RDMA subsystem
			err = nil
		}
		return err
	}
	devices, err := netlink.RdmaResourceList()
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	for _, device := range devices {
		for kind, count := range device.RdmaResourceSummaryEntries {
			for range count {
				found.add("RDMA resource %s of %s", kind, device.Name)
			}
		}
	}
	return nil
}

// temporaryFiles are those that stand in the directories for what is temporary; a test's own
// directory is one of them while the test runs.
func temporaryFiles(found things) error {
	for _, dir := range []string{os.TempDir(), "/dev/shm"} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			found.add("file %s", filepath.Join(dir, entry.Name()))
		}
	}
	return nil
}
