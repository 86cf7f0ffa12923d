package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dioItem says whether there can be the device that the holder dio reads from, which is one of the
// device mapper. It tries the mapper's node by its mode: to open it would load the driver.
func (h *host) dioItem() Item {
	i := Item{Name: "without RDMA: dio", State: Missing, Costs: "no run with the holder dio, unless --dio-source names a slow device or file"}
	node := filepath.Join(h.dev, "mapper/control")
	err := h.access(node, unix.R_OK|unix.W_OK)
	here := err == nil || errors.Is(err, fs.ErrNotExist) && h.haveModule("dm_mod", "dm-mod")
	switch {
	case !here && errors.Is(err, fs.ErrNotExist):
		i.Detail, i.Remedy = "no device mapper: "+node+" is missing, and so is the module dm-mod", "a kernel with CONFIG_BLK_DEV_DM; umemstress lab run has one"
	case !here:
		i.Detail, i.Remedy = fmt.Sprintf("%s: %v", node, err), h.asRoot("in a container, pass the node in")
	case !h.has(unix.CAP_SYS_ADMIN):
		i.Detail, i.Remedy = "no CAP_SYS_ADMIN to make a device-mapper device", h.asRoot("in a container, give it the capability")
	default:
		return Item{Name: i.Name, State: OK, Detail: "device mapper"}
	}
	return i
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
	i := Item{Name: "without RDMA: vmci", State: Missing, Costs: "no run with the holder vmci"}
	node := filepath.Join(h.dev, "vmci")
	err := h.access(node, unix.R_OK|unix.W_OK)
	switch {
	case !h.haveModule("vmw_vsock_vmci_transport", "vmw_vsock_vmci_transport"):
		i.Detail, i.Remedy = "no module vmw_vsock_vmci_transport", "a kernel with CONFIG_VMWARE_VMCI and CONFIG_VMWARE_VMCI_VSOCKETS; umemstress lab run has one"
	case h.loaded("vhost_vsock"):
		i.Detail, i.Remedy = "the module vhost_vsock has the host's side of AF_VSOCK", "rmmod vhost_vsock, where no virtual machine needs it"
	case errors.Is(err, fs.ErrNotExist) && h.uid != 0:
		i.Detail, i.Remedy = "the module vmw_vsock_vmci_transport is not loaded", remedyRoot
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		i.Detail, i.Remedy = fmt.Sprintf("%s: %v", node, err), h.asRoot("in a container, pass the node in")
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesThere}
	}
	return i
}

// modulesAndMount is what it takes to read from a server of the run's own; in the same words, so that the
// screen has one line.
const modulesAndMount = "the module, and the right to mount"

// nfsItem says whether the kernel can read by NFS from a server of the run's own.
func (h *host) nfsItem() Item {
	i := Item{Name: "without RDMA: nfs", State: Missing, Costs: "no run with the holder nfs"}
	switch {
	case !h.haveModule("nfsv3", "nfsv3"):
		i.Detail, i.Remedy = "no module nfsv3", "a kernel with CONFIG_NFS_FS and CONFIG_NFS_V3; umemstress lab run has one"
	case !h.has(unix.CAP_SYS_ADMIN):
		i.Detail, i.Remedy = "no CAP_SYS_ADMIN to mount", h.asRoot("in a container, give it the capability")
	case !h.loaded("nfsv3") && h.uid != 0:
		i.Detail, i.Remedy = "the module nfsv3 is not loaded", remedyRoot
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesAndMount}
	}
	return i
}

// fuseItem says whether the kernel can read by FUSE from a server of the run's own. It opens no
// device: that would load the module.
func (h *host) fuseItem() Item {
	i := Item{Name: "without RDMA: fuse", State: Missing, Costs: "no run with the holder fuse"}
	node := filepath.Join(h.dev, "fuse")
	err := h.access(node, unix.R_OK|unix.W_OK)
	absent := errors.Is(err, fs.ErrNotExist) && !h.loaded("fuse") // its module makes it
	switch {
	case !h.haveModule("fuse", "fuse"):
		i.Detail, i.Remedy = "no module fuse", "a kernel with CONFIG_FUSE_FS; umemstress lab run has one"
	case !h.has(unix.CAP_SYS_ADMIN):
		i.Detail, i.Remedy = "no CAP_SYS_ADMIN to mount", h.asRoot("in a container, give it the capability")
	case absent && h.uid != 0:
		i.Detail, i.Remedy = "the module fuse is not loaded", remedyRoot
	case err != nil && !absent:
		i.Detail, i.Remedy = fmt.Sprintf("%s: %v", node, err), h.asRoot("in a container, pass the node in")
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesAndMount}
	}
	return i
}

const remedy9P = "a kernel with CONFIG_9P_FS and CONFIG_NET_9P_FD, Linux 6.8 or newer; umemstress lab run --kernel 6.12 has one"

// p9Item says whether the kernel can read by 9p from a server of the run's own. Whether it pins for that, as
// it does where such reads go through netfs, which has told of them in /proc since, is known once it is loaded.
func (h *host) p9Item() Item {
	i := Item{Name: "without RDMA: 9p", State: Missing, Costs: "no run with the holder 9p"}
	_, err := os.Stat(filepath.Join(h.proc, "fs/netfs"))
	switch {
	case !h.haveModule("9p", "9p"):
		i.Detail, i.Remedy = "no module 9p", remedy9P
	case h.loaded("9p") && err != nil:
		i.Detail, i.Remedy = "a direct read from 9p pins no page in this kernel", remedy9P
	case !h.has(unix.CAP_SYS_ADMIN):
		i.Detail, i.Remedy = "no CAP_SYS_ADMIN to mount", h.asRoot("in a container, give it the capability")
	case !h.loaded("9p") && h.uid != 0:
		i.Detail, i.Remedy = "the module 9p is not loaded", remedyRoot
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesAndMount}
	}
	return i
}

// modulesThere is told once of all items that it is true of.
const modulesThere = "the modules are there"

// v4l2Item says whether there can be a capture device that needs no hardware. A given one it knows
// nothing of, and it opens none.
func (h *host) v4l2Item() Item {
	i := Item{Name: "without RDMA: v4l2", State: Missing, Costs: "no run with the holder v4l2, unless --v4l2-dev names a capture device"}
	switch {
	case !h.haveModule("vivid", "vivid"):
		i.Detail, i.Remedy = "no module vivid", "a kernel with CONFIG_VIDEO_VIVID; umemstress lab run has one"
	case !h.loaded("vivid") && h.uid != 0:
		i.Detail, i.Remedy = "the module vivid is not loaded", remedyRoot
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesThere}
	}
	return i
}

// xdpItem says whether there can be a socket of AF_XDP, and netdevs that its packets come over.
func (h *host) xdpItem() Item {
	i := Item{Name: "without RDMA: xdp", State: Missing, Costs: "no run with the holder xdp"}
	err := h.xdp()
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		i.Detail, i.Remedy = err.Error(), "a kernel with CONFIG_XDP_SOCKETS; umemstress lab run has one"
	case err != nil:
		i.Detail, i.Remedy = err.Error(), h.asRoot("in a container, give it CAP_NET_RAW, and a seccomp profile that allows it")
	case !h.haveModule("veth", "veth"):
		i.Detail, i.Remedy = "no module veth", "a kernel with CONFIG_VETH; umemstress lab run has one"
	case !h.has(unix.CAP_SYS_ADMIN):
		i.Detail, i.Remedy = "no CAP_SYS_ADMIN to make a network namespace", h.asRoot("in a container, give it the capability")
	case !h.loaded("veth") && h.uid != 0:
		i.Detail, i.Remedy = "the module veth is not loaded", remedyRoot
	default:
		return Item{Name: i.Name, State: OK, Detail: modulesThere}
	}
	return i
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
