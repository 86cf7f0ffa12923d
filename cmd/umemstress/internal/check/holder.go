package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/late"
)

// trouble is what keeps a holder from working, if it is so.
type trouble struct {
	is             bool
	detail, remedy string
}

// holderItem is of a holder that works unless there is a trouble, the first of which it tells.
func holderItem(name, costs, works string, troubles ...trouble) Item {
	i := Item{Name: "without RDMA: " + name, State: OK, Detail: works}
	for _, t := range troubles {
		if t.is {
			i.State, i.Detail, i.Costs, i.Remedy = Missing, t.detail, costs, t.remedy
			break
		}
	}
	return i
}

// noModule is that the kernel has a module neither loaded nor to load, which its options would give it.
func (h *host) noModule(name, options string) trouble {
	return trouble{!h.haveModule(name, name), "no module " + name, "a kernel with " + options + "; umemstress lab run has one"}
}

// notLoaded is that somebody else has to load a module.
func (h *host) notLoaded(name string) trouble {
	return trouble{!h.loaded(name) && h.uid != 0, notLoaded(name), remedyRoot}
}

func notLoaded(name string) string { return "the module " + name + " is not loaded" }

// mayNot is that CAP_SYS_ADMIN is missing to do something.
func (h *host) mayNot(do string) trouble {
	return trouble{!h.has(unix.CAP_SYS_ADMIN), "no CAP_SYS_ADMIN to " + do, h.asRoot("in a container, give it the capability")}
}

// noNode is that a node of a device is there or is to be, and not to be opened.
func (h *host) noNode(is bool, node string, err error) trouble {
	return trouble{is, fmt.Sprintf("%s: %v", node, err), h.asRoot("in a container, pass the node in")}
}

// dioItem says whether there can be the device that the holder dio reads from, which is one of the
// device mapper. It tries the mapper's node by its mode: to open it would load the driver.
func (h *host) dioItem() Item {
	node := filepath.Join(h.dev, "mapper/control")
	err := h.access(node, unix.R_OK|unix.W_OK)
	absent := errors.Is(err, fs.ErrNotExist)
	here := err == nil || absent && h.haveModule("dm_mod", "dm-mod")
	return holderItem("dio", "no run with the holder dio, unless --dio-source names a slow device or file", "device mapper",
		trouble{!here && absent, "no device mapper: " + node + " is missing, and so is the module dm-mod", "a kernel with CONFIG_BLK_DEV_DM; umemstress lab run has one"},
		h.noNode(!here, node, err),
		h.mayNot("make a device-mapper device"))
}

// vmwritevItem says whether process_vm_writev can be held in its copy.
func (h *host) vmwritevItem() Item {
	i := Item{Name: "without RDMA: vmwritev", State: OK, Detail: "userfaultfd"}
	err := h.userfault()
	if err == nil {
		return i
	}
	i.State, i.Detail, i.Costs = Missing, fmt.Sprintf("userfaultfd: %v", err), "no run with the holder vmwritev"
	i.Remedy = "a kernel with CONFIG_USERFAULTFD; umemstress lab run has one"
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		i.Remedy = h.asRoot("in a container, its seccomp profile has to allow it") + "; or sysctl vm.unprivileged_userfaultfd=1"
	}
	return i
}

// vmciItem says whether there can be queue pairs of VMCI, and the host's side of AF_VSOCK that
// writes into them. It opens no device.
func (h *host) vmciItem() Item {
	node := filepath.Join(h.dev, "vmci")
	err := h.access(node, unix.R_OK|unix.W_OK)
	absent := errors.Is(err, fs.ErrNotExist)
	const name = "vmw_vsock_vmci_transport"
	return holderItem("vmci", "no run with the holder vmci", modulesThere,
		h.noModule(name, "CONFIG_VMWARE_VMCI and CONFIG_VMWARE_VMCI_VSOCKETS"),
		trouble{h.loaded("vhost_vsock"), "the module vhost_vsock has the host's side of AF_VSOCK", "rmmod vhost_vsock, where no virtual machine needs it"},
		trouble{absent && h.uid != 0, notLoaded(name), remedyRoot},
		h.noNode(err != nil && !absent, node, err))
}

// modulesAndMount is what it takes to read from a server of the run's own; in the same words, so that the
// screen has one line.
const modulesAndMount = "the module, and the right to mount"

// nfsItem says whether the kernel can read by NFS from a server of the run's own.
func (h *host) nfsItem() Item {
	return holderItem("nfs", "no run with the holder nfs", modulesAndMount,
		h.noModule("nfsv3", "CONFIG_NFS_FS and CONFIG_NFS_V3"),
		h.mayNot("mount"),
		h.notLoaded("nfsv3"))
}

// fuseItem says whether the kernel can read by FUSE from a server of the run's own. It opens no
// device: that would load the module.
func (h *host) fuseItem() Item {
	node := filepath.Join(h.dev, "fuse")
	err := h.access(node, unix.R_OK|unix.W_OK)
	absent := errors.Is(err, fs.ErrNotExist) && !h.loaded("fuse") // its module makes it
	return holderItem("fuse", "no run with the holder fuse", modulesAndMount,
		h.noModule("fuse", "CONFIG_FUSE_FS"),
		h.mayNot("mount"),
		trouble{absent && h.uid != 0, notLoaded("fuse"), remedyRoot},
		h.noNode(err != nil && !absent, node, err))
}

const remedy9P = "a kernel with CONFIG_9P_FS and CONFIG_NET_9P_FD, Linux 6.8 or newer; umemstress lab run has one"

// p9Item says whether the kernel can read by 9p from a server of the run's own. Whether it pins for that, as
// it does where such reads go through netfs, which has told of them in /proc since, is known once it is loaded. Before, it
// pins for what this machine's monitor shares.
func (h *host) p9Item() Item {
	_, err := os.Stat(filepath.Join(h.proc, "fs/netfs"))
	return holderItem("9p", "no run with the holder 9p", modulesAndMount,
		trouble{!h.haveModule("9p", "9p"), "no module 9p", remedy9P},
		trouble{h.loaded("9p") && err != nil && !late.There(h.sys), "a direct read from 9p pins no page in this kernel, and there is no share " + late.Tag, "Linux 6.8 or newer, or in a virtual machine such a share (umemstress late-reads); umemstress lab run has either"},
		h.mayNot("mount"),
		h.notLoaded("9p"))
}

// modulesThere is told once of all items that it is true of.
const modulesThere = "the modules are there"

// v4l2Item says whether there can be a capture device that needs no hardware. A given one it knows
// nothing of, and it opens none.
func (h *host) v4l2Item() Item {
	return holderItem("v4l2", "no run with the holder v4l2, unless --v4l2-dev names a capture device", modulesThere,
		h.noModule("vivid", "CONFIG_VIDEO_VIVID"),
		h.notLoaded("vivid"))
}

// xdpItem says whether there can be a socket of AF_XDP, and netdevs that its packets come over.
func (h *host) xdpItem() Item {
	err := h.xdp()
	says := fmt.Sprint(err)
	return holderItem("xdp", "no run with the holder xdp", modulesThere,
		trouble{errors.Is(err, unix.EAFNOSUPPORT), says, "a kernel with CONFIG_XDP_SOCKETS; umemstress lab run has one"},
		trouble{err != nil, says, h.asRoot("in a container, give it CAP_NET_RAW, and a seccomp profile that allows it")},
		h.noModule("veth", "CONFIG_VETH"),
		h.mayNot("make a network namespace"),
		h.notLoaded("veth"))
}

// tryUserfault makes a userfaultfd as the holder does, and closes it.
func tryUserfault() error {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if errno != 0 {
		return errno
	}
	return os.NewFile(fd, "userfaultfd").Close()
}

// asRoot is how to be permitted something: root is told what else it may be.
func (h *host) asRoot(otherwise string) string {
	if h.uid == 0 {
		return otherwise
	}
	return remedyRoot
}
