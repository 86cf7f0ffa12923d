package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes"
)

const (
	allCapabilities = "000001ffffffffff"
	noCapabilities  = "0000000000000000"
)

// rootHost is the tree of a host on which everything is there but RDMA.
func rootHost() map[string]string {
	return map[string]string{
		"proc/self/status":              "Name:\tx\nCapEff:\t" + allCapabilities,
		"proc/self/uid_map":             "         0          0 4294967295",
		"proc/self/mountinfo":           "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
		"proc/sys/kernel/panic_on_warn": "0",
		"proc/sys/kernel/panic_on_oops": "0",
		"proc/filesystems":              "nodev\tproc\n\text4",
		"proc/cpuinfo":                  "flags\t\t: fpu vmx",
		"sys/class/misc/loop-control/x": "",
		"dev/loop-control":              "",
		"dev/kvm":                       "",
		"dev/kmsg":                      "",
		"proc/kcore":                    "",
		"modules/modules.dep":           "kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: kernel/x.ko.xz",
		"cache/kernels/by-name/5.10":    "",
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

// unprivileged takes away what root has.
func unprivileged(files map[string]string) map[string]string {
	files["proc/self/status"] = "Name:\tx\nCapEff:\t" + noCapabilities
	return files
}

// fixture is a host made of files, with all programs and features.
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
		kernel: checkKernel{Release: "5.10.0-test", Version: "#1"},
		sys:    filepath.Join(root, "sys"), proc: filepath.Join(root, "proc"), dev: filepath.Join(root, "dev"),
		modules: filepath.Join(root, "modules"), cache: filepath.Join(root, "cache"),
		memlock: 64 << 10, needed: 128 << 20,
		features:    features(nil),
		haveProgram: func(string) bool { return true },
		access: func(path string, _ uint32) error {
			if stat(path) != nil {
				return unix.ENOENT
			}
			return nil
		},
		open:       stat,
		openToRead: stat,
	}
}

// features are all that there are; absent gives reasons why not.
func features(absent map[string]string) []probes.Feature {
	var list []probes.Feature
	for _, name := range []string{"btf", "ring-buffer", "fentry", "kprobe-multi", "kprobe"} {
		reason, lacks := absent[name]
		list = append(list, probes.Feature{Name: name, Available: !lacks, Reason: reason, Without: "without " + name})
	}
	return list
}

func denied() []probes.Feature {
	const reason = "not permitted (it takes root)"
	return features(map[string]string{"ring-buffer": reason, "fentry": reason, "kprobe-multi": reason, "kprobe": reason})
}

func TestCheck(t *testing.T) {
	const guest = "umemstress lab run"
	for _, tt := range []struct {
		name   string
		files  map[string]string
		change func(*host)
		can    abilities
		states map[string]string // of items, as STATE or STATE: part of what is said
	}{
		{
			name:  "no RDMA",
			files: rootHost(),
			can:   abilities{Lab: true},
			states: map[string]string{
				"device": "missing: umemstress soft-roce up; or " + guest, "privileges": "ok: CAP_BPF", "locked memory": "ok: lifted",
				"scratch": "ok", "ext4": "ok: regions possible on /;", "probes: btf": "ok", "probes: targets": "missing: modprobe ib_uverbs ",
				"lab: cache": "ok", "lab: kernels": "ok: 5.10", "lab: KVM": "ok",
			},
		},
		{
			name:  "active rxe",
			files: withRxe(rootHost(), "4: ACTIVE"),
			can:   abilities{Run: true, Observe: true, Lab: true},
			states: map[string]string{"device: rxe0": "ok: driver rdma_rxe, netdev veth0, port 1 ACTIVE (Ethernet)",
				"device: uverbs0": "ok", "probes: targets": "ok", "panic_on_warn": "ok", "panic_on_oops": "ok", "BUG_ON": "ok", "kernel log": "ok"},
		},
		{
			name:   "port DOWN",
			files:  withRxe(rootHost(), "1: DOWN"),
			can:    abilities{Observe: true, Lab: true},
			states: map[string]string{"device: rxe0": "missing: ip link set veth0 up", "device: uverbs0": "ok"},
		},
		{
			name:   "no device node",
			files:  withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) { h.open = func(string) error { return fs.ErrPermission } },
			can:    abilities{Observe: true, Lab: true},
			states: map[string]string{"device: uverbs0": "missing: udev group rdma", "scratch": "missing: no loop device", "lab: KVM": "warning"},
		},
		{
			name:   "panic_on_warn",
			files:  with(withRxe(rootHost(), "4: ACTIVE"), "proc/sys/kernel/panic_on_warn", "1"),
			can:    abilities{Run: true, Observe: true, Lab: true},
			states: map[string]string{"panic_on_warn": "warning: --allow-crash", "panic_on_oops": "ok"},
		},
		{
			name:  "unprivileged",
			files: unprivileged(withRxe(rootHost(), "4: ACTIVE")),
			change: func(h *host) {
				h.uid, h.features = 1000, denied()
				h.openToRead = func(string) error { return fs.ErrPermission }
			},
			can: abilities{Lab: true},
			states: map[string]string{
				"BUG_ON": "warning: --allow-crash", "kernel log": "warning: CAP_SYSLOG",
				"privileges": "warning: without CAP_IPC_LOCK", "locked memory": "missing", "scratch": "missing: CAP_SYS_ADMIN",
				"probes: btf": "ok", "probes: ring-buffer": "missing: CAP_PERFMON", "probes: fentry": "missing: CAP_PERFMON",
			},
		},
		{
			name:   "unprivileged with some locked memory",
			files:  unprivileged(rootHost()),
			change: func(h *host) { h.memlock = 8 << 20 },
			can:    abilities{Lab: true, Observe: false},
			states: map[string]string{"locked memory": "warning: --file-size 2M --anon-size 2M"},
		},
		{
			name:   "root of a user namespace",
			files:  with(rootHost(), "proc/self/uid_map", "0 1000 1"),
			can:    abilities{Lab: true},
			states: map[string]string{"privileges": "warning: user namespace", "scratch": "missing", "locked memory": "missing"},
		},
		{
			name:  "nothing can be run",
			files: rootHost(),
			change: func(h *host) {
				h.haveProgram = func(string) bool { return false }
				h.cache = ""
			},
			states: map[string]string{
				"scratch": "missing: e2fsprogs", "lab: qemu-system-x86_64": "missing: qemu-system-x86",
				"lab: modprobe": "missing: kmod", "lab: mke2fs": "missing", "lab: cache": "missing: XDG_CACHE_HOME", "lab: kernels": "warning: --kernel",
			},
		},
		{
			name:  "kprobes alone",
			files: withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) {
				h.features = features(map[string]string{"fentry": "no types", "kprobe-multi": "too old"})
			},
			can:    abilities{Run: true, Observe: true, Lab: true},
			states: map[string]string{"probes: fentry": "warning: without fentry", "probes: kprobe-multi": "ok: not needed", "probes: kprobe": "ok"},
		},
		{
			name:  "no way to attach",
			files: withRxe(rootHost(), "4: ACTIVE"),
			change: func(h *host) {
				h.features = features(map[string]string{"fentry": "-", "kprobe-multi": "-", "kprobe": "-"})
			},
			can:    abilities{Run: true, Lab: true},
			states: map[string]string{"probes: fentry": "missing: no probes", "probes: kprobe-multi": "missing", "probes: kprobe": "missing: CONFIG_KPROBES"},
		},
		{
			name:   "no rdma_rxe",
			files:  with(rootHost(), "modules/modules.dep", "kernel/fs/ext4/ext4.ko:"),
			can:    abilities{Lab: true},
			states: map[string]string{"device": "missing: this kernel has no module rdma_rxe"},
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
			wantCode := exitClean
			if tt.can == (abilities{}) {
				wantCode = exitHostLacks
			}
			if code := exitCode(document.Can.status()); code != wantCode {
				t.Errorf("exit code %d, want %d", code, wantCode)
			}
			checkItems(t, document.Items, tt.states)
		})
	}
}

func with(files map[string]string, name, text string) map[string]string {
	files[name] = text
	return files
}

// checkItems compares items, and sees that no lack goes without its costs and
// remedy.
func checkItems(t *testing.T, items []item, states map[string]string) {
	t.Helper()
	byName := map[string]item{}
	for _, i := range items {
		if _, twice := byName[i.Name]; twice {
			t.Errorf("there are two items %q", i.Name)
		}
		byName[i.Name] = i
		if i.Detail == "" || i.State == stateMissing && (i.Costs == "" || i.Remedy == "") || i.State == stateOK && i.Costs != "" {
			t.Errorf("an item says too little or too much: %+v", i)
		}
	}
	for name, want := range states {
		state, says, _ := strings.Cut(want, ": ")
		i, ok := byName[name]
		if !ok || i.State != state || !strings.Contains(fmt.Sprintf("%s\n%s\n%s", i.Detail, i.Costs, i.Remedy), says) {
			t.Errorf("%q is %+v, want %s", name, i, want)
		}
	}
}

func TestCheckText(t *testing.T) {
	h := fixture(t, with(withRxe(rootHost(), "4: ACTIVE"), "proc/sys/kernel/panic_on_oops", "1"))
	h.haveProgram = func(name string) bool { return name != "qemu-system-x86_64" }
	var out bytes.Buffer
	if err := printCheck(&out, h.check()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"possible here:     a run (with --allow-crash), observation by probes\n",
		"not possible here: the lab\n",
		"btf, ring-buffer, fentry, kprobe-multi, kprobe: available\n",
		"modprobe, mke2fs: installed\n",
		"get it: apt-get install qemu-system-x86\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 30 {
		t.Errorf("%d lines are no screen:\n%s", lines, out.String())
	}
}

// TestCheckHere runs on whatever this host is.
func TestCheckHere(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"check", "--format", "json"}, &stdout, &stderr)
	var document checkDocument
	if err := json.Unmarshal(stdout.Bytes(), &document); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	if document.Schema != "umemstress.check/v1" || document.Kernel.Release == "" {
		t.Errorf("schema %q, kernel %q", document.Schema, document.Kernel.Release)
	}
	if want := exitCode(document.Can.status()); code != want || stderr.Len() != 0 {
		t.Errorf("exit code %d, want %d, and stderr %q", code, want, stderr.String())
	}
	checkItems(t, document.Items, nil)
}

func TestCheckBadInput(t *testing.T) {
	for _, args := range [][]string{{"check", "--format", "yaml"}, {"check", "rxe0"}, {"check", "--nosuch"}} {
		var stdout, stderr bytes.Buffer
		if code := execute(t.Context(), args, &stdout, &stderr); code != exitUsage || stdout.Len() != 0 {
			t.Errorf("%q: exit code %d, stdout %q, want %d", args, code, stdout.String(), exitUsage)
		}
	}
}
