package check

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes"
	"umemstress/soft-roce/lab"
	"umemstress/workload/danger"
)

const allCapabilities = 0x1ffffffffff

// rootHost is the tree of a host on which everything is there but RDMA.
func rootHost() map[string]string {
	return map[string]string{
		"proc/self/uid_map":             "         0          0 4294967295",
		"proc/self/mountinfo":           "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
		"sys/class/misc/loop-control/x": "",
		"dev/loop-control":              "",
		"dev/kmsg":                      "",
		"dev/mapper/control":            "",
		"modules/modules.dep":           "kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: kernel/x.ko.xz",
	}
}

// withRxe adds a soft-RoCE device.
func withRxe(files map[string]string, state string) map[string]string {
	const port = "sys/class/infiniband/rxe0/ports/1/"
	maps.Copy(files, map[string]string{
		"sys/class/infiniband/rxe0/parent":               "veth0",
		"sys/class/infiniband_verbs/uverbs0/ibdev":       "rxe0",
		"sys/class/infiniband_verbs/uverbs0/abi_version": "2",
		port + "state":           state,
		port + "phys_state":      "5: LinkUp",
		port + "link_layer":      "Ethernet",
		"dev/infiniband/uverbs0": "",
	})
	return files
}

// withMLX5 adds a device that is no soft-RoCE one.
func withMLX5(files map[string]string) map[string]string {
	for name, text := range withRxe(map[string]string{}, "4: ACTIVE") {
		if !strings.HasSuffix(name, "/parent") {
			files[strings.Replace(name, "/rxe0/", "/mlx5_0/", 1)] = strings.Replace(text, "rxe0", "mlx5_0", 1)
		}
	}
	return files
}

// withVMCI adds the modules of VMCI to those that can be loaded.
func withVMCI(files map[string]string) map[string]string {
	const vmci, transport = "kernel/drivers/misc/vmw_vmci/vmw_vmci.ko.xz", "kernel/net/vmw_vsock/vmw_vsock_vmci_transport.ko.xz"
	files["modules/modules.dep"] += "\n" + vmci + ":\n" + transport + ": kernel/net/vmw_vsock/vsock.ko.xz " + vmci
	return files
}

// withNFS adds the NFS client to the modules that can be loaded.
func withNFS(files map[string]string) map[string]string {
	files["modules/modules.dep"] += "\nkernel/fs/nfs/nfs.ko.xz:\nkernel/fs/nfs/nfsv3.ko.xz: kernel/fs/nfs/nfs.ko.xz"
	return files
}

// withFUSE adds FUSE to the modules that can be loaded.
func withFUSE(files map[string]string) map[string]string {
	files["modules/modules.dep"] += "\nkernel/fs/fuse/fuse.ko.xz:"
	return files
}

// withV4L2 adds the test driver of V4L2 to the modules that can be loaded.
func withV4L2(files map[string]string) map[string]string {
	files["modules/modules.dep"] += "\nkernel/drivers/media/test-drivers/vivid/vivid.ko.xz: kernel/drivers/media/mc/mc.ko.xz"
	return files
}

// withXDP adds the netdevs of a pair to the modules that can be loaded.
func withXDP(files map[string]string) map[string]string {
	files["modules/modules.dep"] += "\nkernel/drivers/net/veth.ko.xz:"
	return files
}

// with9P adds the 9p client to the modules that can be loaded.
func with9P(files map[string]string) map[string]string {
	files["modules/modules.dep"] += "\nkernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz"
	return files
}

// unprivileged takes away what root has.
func unprivileged(h *host) { h.uid, h.effective = 1000, 0 }

// fixture is a host made of files, with all programs, privileges and features, and
// without dangers.
func fixture(t *testing.T, files map[string]string) *host {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stat := func(path string) error {
		_, err := os.Stat(path)
		return err
	}
	return &host{
		kernel: Kernel{Release: "5.10.0-test", Version: "#1"},
		sys:    filepath.Join(root, "sys"), proc: filepath.Join(root, "proc"), dev: filepath.Join(root, "dev"),
		modules:   filepath.Join(root, "modules"),
		effective: allCapabilities,
		memlock:   64 << 10, needed: 128 << 20,
		features: features(nil),
		dangers:  []danger.Danger{{Name: "panic_on_warn"}, {Name: "panic_on_oops"}, {Name: danger.BugOn}},
		lab: lab.Readiness{
			Needs: []lab.Need{{Program: "qemu", Package: "qemu-system-x86"}, {Program: "modprobe", Package: "kmod"}},
			Cache: "/cache", Kept: []string{"5.10"}, Sources: []string{"the mirror"},
		},
		haveProgram: func(string) bool { return true },
		access: func(path string, _ uint32) error {
			if stat(path) != nil {
				return unix.ENOENT
			}
			return nil
		},
		open:       stat,
		openToRead: stat,
		aio:        func() error { return nil },
		uring:      func() error { return nil },
		xdp:        func() error { return nil },
		userfault:  func() error { return nil },
	}
}

// features are all that there are; absent gives reasons why not.
func features(absent map[string]string) []probes.Feature {
	var list []probes.Feature
	for _, name := range []string{"btf", "ring-buffer", "fentry", "kprobe-multi", "kprobe"} {
		reason, lacks := absent[name]
		list = append(list, probes.Feature{Name: name, Available: !lacks, Reason: reason, Without: "without " + name, Remedy: "get " + name})
	}
	return list
}

// denied are the features as the kernel tells somebody without privilege.
func denied() []probes.Feature {
	const reason = "not permitted"
	list := features(map[string]string{"ring-buffer": reason, "fentry": reason, "kprobe-multi": reason, "kprobe": reason})
	for i := range list {
		list[i].Denied = !list[i].Available
	}
	return list
}

func without(files map[string]string, name string) map[string]string {
	delete(files, name)
	return files
}

func with(files map[string]string, name, text string) map[string]string {
	files[name] = text
	return files
}
