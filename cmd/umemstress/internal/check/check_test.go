package check

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/machine"
)

func TestCheck(t *testing.T) {
	const guest = "umemstress lab run"
	for _, tt := range []struct {
		name   string
		files  map[string]string
		change func(*host)
		can    Abilities
		states map[string]string // of items, as STATE or STATE: part of what is said
	}{
		{
			name:  "no RDMA",
			files: rootHost(),
			can:   Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{
				"without RDMA: vmci": "missing: CONFIG_VMWARE_VMCI_VSOCKETS; umemstress lab run",
				"without RDMA: fuse": "missing: CONFIG_FUSE_FS; umemstress lab run",
				"without RDMA: 9p":   "missing: CONFIG_NET_9P_FD, Linux 6.8 or newer; umemstress lab run",
				"device":             "missing: umemstress soft-roce up; or " + guest, "privileges": "ok: CAP_BPF", "locked memory": "ok: lifted",
				"scratch": "ok", "ext4": "ok: regions possible on /;", "probes: btf": "ok", "probes: targets": "missing: modprobe ib_uverbs ",
				"lab: cache": "ok: /cache", "lab: kernels": "ok: in the cache: 5.10; the mirror", "lab: KVM": "ok",
			},
		},
		{
			name:  "active rxe",
			files: withRxe(rootHost(), "4: ACTIVE"),
			can:   Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"device: rxe0": "ok: driver rdma_rxe, netdev veth0, port 1 ACTIVE (Ethernet)",
				"device: uverbs0": "ok", "probes: targets": "ok", "panic_on_warn": "ok", "panic_on_oops": "ok", "BUG_ON": "ok", "kernel log": "ok"},
		},
		{
			name:   "port DOWN",
			files:  withRxe(rootHost(), "1: DOWN"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"device: rxe0": "missing: ip link set veth0 up", "device: uverbs0": "ok"},
		},
		{
			name:   "another driver",
			files:  withMLX5(rootHost()),
			can:    Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"device: mlx5_0": "ok: driver unknown, port 1 ACTIVE (Ethernet), through ibverbs", "device: uverbs0": "ok"},
		},
		{
			name:   "another driver without rdma-core",
			files:  withMLX5(rootHost()),
			change: func(h *host) { h.library = errors.New("it is not there; get it") },
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"device: mlx5_0": "missing: soft-roce up --netdev DEV", "device: uverbs0": "ok"},
		},
		{
			name:   "no device node",
			files:  withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) { h.open = func(string) error { return fs.ErrPermission } },
			can:    Abilities{Observe: true, Lab: true},
			states: map[string]string{"device: uverbs0": "missing: udev group rdma", "scratch": "missing: no loop device"},
		},
		{
			name:   "panic_on_warn",
			files:  withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) { h.dangers[0].Present, h.dangers[0].Effect = true, "it is so" },
			can:    Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"panic_on_warn": "warning: sysctl kernel.panic_on_warn=0", "panic_on_oops": "ok", "BUG_ON": "ok"},
		},
		{
			name:   "BUG_ON",
			files:  withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) { h.dangers[2].Present, h.dangers[2].Effect = true, "it is so" },
			can:    Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"BUG_ON": "warning: --allow-crash", "panic_on_warn": "ok"},
		},
		{
			name:  "unprivileged",
			files: withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) {
				unprivileged(h)
				h.features, h.dangers[2].Unknown = denied(), fs.ErrPermission
				h.openToRead = func(string) error { return fs.ErrPermission }
			},
			can: Abilities{Lab: true},
			states: map[string]string{
				"BUG_ON": "warning: or run it as root", "kernel log": "warning: CAP_SYSLOG",
				"privileges": "warning: without CAP_IPC_LOCK", "locked memory": "missing", "scratch": "missing: CAP_SYS_ADMIN",
				"probes: btf": "ok", "probes: ring-buffer": "missing: CAP_PERFMON", "probes: fentry": "missing: CAP_PERFMON",
			},
		},
		{
			name:  "unprivileged with some locked memory",
			files: rootHost(),
			change: func(h *host) {
				unprivileged(h)
				h.memlock = 8 << 20
			},
			can:    Abilities{Lab: true, Observe: false},
			states: map[string]string{"locked memory": "warning: --file-size 2M --anon-size 2M"},
		},
		{
			name:   "root of a user namespace",
			files:  with(rootHost(), "proc/self/uid_map", "0 1000 1"),
			can:    Abilities{Lab: true},
			states: map[string]string{"privileges": "warning: user namespace", "scratch": "missing", "locked memory": "missing"},
		},
		{
			name:  "nothing can be run",
			files: rootHost(),
			change: func(h *host) {
				h.haveProgram = func(string) bool { return false }
				h.lab = lab.Readiness{
					Needs:    []lab.Need{{Program: "qemu", Package: "qemu-system-x86", Missing: true}},
					CacheErr: fs.ErrPermission,
					Emulated: &machine.Lack{Reason: "no /dev/kvm", Remedy: "modprobe kvm_intel"},
				}
			},
			states: map[string]string{
				"scratch": "missing: e2fsprogs", "lab: qemu": "missing: apt-get install qemu-system-x86",
				"lab: cache": "missing: XDG_CACHE_HOME", "lab: kernels": "warning: --kernel", "lab: KVM": "warning: modprobe kvm_intel",
			},
		},
		{
			name:  "kprobes alone",
			files: withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) {
				h.features = features(map[string]string{"fentry": "no types", "kprobe-multi": "too old"})
			},
			can:    Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Observe: true, Lab: true},
			states: map[string]string{"probes: fentry": "warning: without fentry", "probes: kprobe-multi": "ok: not needed", "probes: kprobe": "ok"},
		},
		{
			name:  "no way to attach",
			files: withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) {
				h.features = features(map[string]string{"fentry": "-", "kprobe-multi": "-", "kprobe": "-"})
			},
			can:    Abilities{Run: true, RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"probes: fentry": "missing: no probes", "probes: kprobe-multi": "missing", "probes: kprobe": "missing: get kprobe"},
		},
		{
			name:   "no rdma_rxe",
			files:  with(rootHost(), "modules/modules.dep", "kernel/fs/ext4/ext4.ko:"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"device": "missing: this kernel has no module rdma_rxe"},
		},
		{
			name:   "no device mapper",
			files:  without(rootHost(), "dev/mapper/control"),
			can:    Abilities{RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: dio": "missing: so is the module dm-mod", "without RDMA: vmwritev": "ok"},
		},
		{
			name:   "a device mapper that is not loaded yet",
			files:  without(with(rootHost(), "modules/modules.builtin", "kernel/drivers/md/dm-mod.ko"), "dev/mapper/control"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: dio": "ok: device mapper"},
		},
		{
			name:  "no device mapper, no userfaultfd",
			files: without(rootHost(), "dev/mapper/control"),
			change: func(h *host) {
				h.userfault = func() error { return unix.ENOSYS }
			},
			can: Abilities{Lab: true},
			states: map[string]string{"without RDMA: dio": "missing: CONFIG_BLK_DEV_DM",
				"without RDMA: vmwritev": "missing: CONFIG_USERFAULTFD"},
		},
		{
			name:  "io_uring forbidden",
			files: rootHost(),
			change: func(h *host) {
				h.uring = func() error { return errors.New("io_uring_setup: not permitted; sysctl kernel.io_uring_disabled=0") }
			},
			can:    Abilities{RunDIO: true, RunAIO: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: uring": "missing: sysctl kernel.io_uring_disabled=0"},
		},
		{
			name:  "userfaultfd denied to root, and a log",
			files: rootHost(),
			change: func(h *host) {
				h.userfault = func() error { return unix.EPERM }
				h.openToRead = func(string) error { return fs.ErrPermission }
			},
			can: Abilities{RunDIO: true, RunAIO: true, RunURing: true, Lab: true},
			states: map[string]string{"without RDMA: vmwritev": "missing: in a container, its seccomp profile has to allow it; or sysctl vm.unprivileged_userfaultfd=1",
				"kernel log": "warning: in a container, pass the node in"},
		},
		{
			name:   "VMCI, not loaded yet",
			files:  withVMCI(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunVMCI: true, Lab: true},
			states: map[string]string{"without RDMA: vmci": "ok: the modules are there"},
		},
		{
			name:   "VMCI, and somebody else has AF_VSOCK",
			files:  with(withVMCI(rootHost()), "sys/module/vhost_vsock/refcnt", "0"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: vmci": "missing: rmmod vhost_vsock"},
		},
		{
			name:   "VMCI that is not permitted",
			files:  with(withVMCI(rootHost()), "dev/vmci", ""),
			change: func(h *host) { h.access = func(string, uint32) error { return unix.EACCES } },
			can:    Abilities{RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: vmci": "missing: pass the node in"},
		},
		{
			name:   "VMCI, not loaded, and no root to load it",
			files:  withVMCI(rootHost()),
			change: unprivileged,
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: vmci": "missing: is not loaded"},
		},
		{
			name:   "NFS, not loaded yet",
			files:  withNFS(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunNFS: true, Lab: true},
			states: map[string]string{"without RDMA: nfs": "ok: the module, and the right to mount"},
		},
		{
			name:   "NFS in a container that may not mount",
			files:  withNFS(rootHost()),
			change: func(h *host) { h.effective &^= 1 << unix.CAP_SYS_ADMIN },
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: nfs": "missing: give it the capability"},
		},
		{
			name:   "NFS, loaded, and no root to mount it",
			files:  with(withNFS(rootHost()), "sys/module/nfsv3/refcnt", "0"),
			change: unprivileged,
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: nfs": "missing: as root"},
		},
		{
			name:   "FUSE, not loaded yet",
			files:  withFUSE(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunFUSE: true, Lab: true},
			states: map[string]string{"without RDMA: fuse": "ok: the module, and the right to mount"},
		},
		{
			name:   "FUSE built in",
			files:  with(with(rootHost(), "sys/module/fuse/parameters/max_user_bgreq", "0"), "dev/fuse", ""),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunFUSE: true, Lab: true},
			states: map[string]string{"without RDMA: fuse": "ok: the module, and the right to mount"},
		},
		{
			name:   "FUSE in a container without its node",
			files:  with(rootHost(), "sys/module/fuse/refcnt", "0"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: fuse": "missing: pass the node in"},
		},
		{
			name:   "FUSE in a container that may not mount",
			files:  withFUSE(rootHost()),
			change: func(h *host) { h.effective &^= 1 << unix.CAP_SYS_ADMIN },
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: fuse": "missing: give it the capability"},
		},
		{
			name:  "FUSE, not loaded, and no root to load it",
			files: withFUSE(rootHost()),
			change: func(h *host) {
				h.uid = 1000
			},
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: fuse": "missing: is not loaded"},
		},
		{
			name:   "V4L2, not loaded yet",
			files:  withV4L2(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunV4L2: true, Lab: true},
			states: map[string]string{"without RDMA: v4l2": "ok: the modules are there"},
		},
		{
			name:   "V4L2, not loaded, and no root to load it",
			files:  withV4L2(rootHost()),
			change: unprivileged,
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: v4l2": "missing: is not loaded"},
		},
		{
			name:   "AF_XDP, and netdevs that are not loaded yet",
			files:  withXDP(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, RunXDP: true, Lab: true},
			states: map[string]string{"without RDMA: xdp": "ok: the modules are there"},
		},
		{
			name:  "no AF_XDP",
			files: withXDP(rootHost()),
			change: func(h *host) {
				h.xdp = func() error { return fmt.Errorf("socket(AF_XDP): %w", unix.EAFNOSUPPORT) }
			},
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: xdp": "missing: a kernel with CONFIG_XDP_SOCKETS"},
		},
		{
			name:   "AF_XDP, and nobody who may use it",
			files:  withXDP(rootHost()),
			change: unprivileged,
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: xdp": "missing: no CAP_SYS_ADMIN"},
		},
		{
			name:   "9p, not loaded yet",
			files:  with9P(rootHost()),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Run9P: true, Lab: true},
			states: map[string]string{"without RDMA: 9p": "ok: the module, and the right to mount"},
		},
		{
			name:   "9p through netfs",
			files:  with(with(rootHost(), "sys/module/9p/refcnt", "0"), "proc/fs/netfs/requests", ""),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Run9P: true, Lab: true},
			states: map[string]string{"without RDMA: 9p": "ok: the module, and the right to mount"},
		},
		{
			name:   "9p of an older kernel",
			files:  with(rootHost(), "sys/module/9p/refcnt", "0"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: 9p": "missing: pins no page in this kernel"},
		},
		{
			name: "9p of an older kernel, and a share of late reads",
			files: with(with(with(rootHost(), "sys/module/9p/refcnt", "0"),
				"sys/bus/virtio/drivers/9pnet_virtio/virtio1/mount_tag", "hostroot"), "sys/bus/virtio/drivers/9pnet_virtio/virtio2/mount_tag", "umemstress-late\x00"),
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Run9P: true, Lab: true},
			states: map[string]string{"without RDMA: 9p": "ok: the module, and the right to mount"},
		},
		{
			name:   "9p in a container that may not mount",
			files:  with9P(rootHost()),
			change: func(h *host) { h.effective &^= 1 << unix.CAP_SYS_ADMIN },
			can:    Abilities{Lab: true},
			states: map[string]string{"without RDMA: 9p": "missing: give it the capability"},
		},
		{
			name:   "9p, not loaded, and no root to load it",
			files:  with9P(rootHost()),
			change: func(h *host) { h.uid = 1000 },
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"without RDMA: 9p": "missing: is not loaded"},
		},
		{
			name:  "nothing to fetch from",
			files: rootHost(),
			change: func(h *host) {
				h.lab.Sources = nil
			},
			can:    Abilities{RunDIO: true, RunAIO: true, RunURing: true, RunVMWritev: true, Lab: true},
			states: map[string]string{"lab: kernels": "warning: in the cache: 5.10; no others can be fetched"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fixture(t, tt.files)
			if tt.change != nil {
				tt.change(h)
			}
			document := h.check()
			if document.Can != tt.can {
				t.Errorf("can %+v, want %+v", document.Can, tt.can)
			}
			checkItems(t, document.Items, tt.states)
		})
	}
}

// checkItems compares items, and sees that no lack goes without its costs and
// remedy.
func checkItems(t *testing.T, items []Item, states map[string]string) {
	t.Helper()
	byName := map[string]Item{}
	for _, i := range items {
		if _, twice := byName[i.Name]; twice {
			t.Errorf("there are two items %q", i.Name)
		}
		byName[i.Name] = i
		if i.Detail == "" || i.State == Missing && (i.Costs == "" || i.Remedy == "") || i.State == OK && i.Costs != "" {
			t.Errorf("an item says too little or too much: %+v", i)
		}
	}
	for name, want := range states {
		state, says, _ := strings.Cut(want, ": ")
		i, ok := byName[name]
		if !ok || string(i.State) != state || !strings.Contains(fmt.Sprintf("%s\n%s\n%s", i.Detail, i.Costs, i.Remedy), says) {
			t.Errorf("%q is %+v, want %s", name, i, want)
		}
	}
}
