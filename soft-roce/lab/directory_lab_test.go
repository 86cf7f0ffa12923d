//go:build lab

package lab

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
)

// A stock kernel, in the shapes that developers and another distribution have theirs in, boots
// with soft-RoCE, and modprobe finds further modules of it.
func TestKernelsOfDevelopers(t *testing.T) {
	stock := testKernel(t)
	for name, shape := range map[string]func(t *testing.T, s *kernels.Store) (kernels.Kernel, error){
		"built": func(t *testing.T, s *kernels.Store) (kernels.Kernel, error) {
			return s.FromDirectory(t.Context(), buildTree(t, &stock))
		},
		"installed": func(t *testing.T, s *kernels.Store) (kernels.Kernel, error) {
			return s.FromDirectory(t.Context(), installedTree(t, &stock))
		},
		"Ubuntu's packages": func(t *testing.T, s *kernels.Store) (kernels.Kernel, error) {
			return s.FromPackages(t.Context(), ubuntuPackages(t, &stock))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := shape(t, &kernels.Store{Dir: filepath.Join(t.TempDir(), "kernels")})
			if err != nil {
				t.Fatal(err)
			}
			c, stdout, stderr := shell(t, "uname -r; rdma link; modprobe xfs && grep -c '^xfs ' /proc/modules; cat /proc/sys/kernel/tainted")
			c.Kernel = k
			result, err := Run(t.Context(), c)
			if err != nil || result.ExitCode != 0 {
				t.Fatalf("%+v, %v: %s", result, err, stderr)
			}
			t.Logf("%s: program started after %s, ended after %s", k.Image, result.Boot, result.Total)
			want := stock.Release + "\nlink rxe0/1 state ACTIVE physical_state LINK_UP netdev veth0 \n1\n0\n"
			if stdout.String() != want {
				t.Errorf("%q, want %q", stdout, want)
			}
		})
	}
}

// storeOf is the directory of a stock kernel.
func storeOf(k *kernels.Kernel) string { return filepath.Dir(k.BootModules) }

// place makes links to files, or copies what is none of the host's, below a directory.
func place(t *testing.T, dir string, links map[string]string) {
	t.Helper()
	for name, target := range links {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
}

// buildTree has the image and the modules where the kernel's build leaves them. It is where a
// file system of the guest hides it.
func buildTree(t *testing.T, k *kernels.Kernel) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "build")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	links := map[string]string{
		"vmlinux": filepath.Join(storeOf(k), "vmlinux"), "arch/x86/boot/bzImage": filepath.Join(storeOf(k), "vmlinuz"),
		".config": filepath.Join(storeOf(k), "config"), "modules.builtin": filepath.Join(k.Modules, "modules.builtin"),
		"modules.builtin.modinfo": filepath.Join(k.Modules, "modules.builtin.modinfo"),
	}
	installed, err := os.ReadFile(filepath.Join(k.Modules, "modules.order"))
	if err != nil {
		t.Fatal(err)
	}
	var order strings.Builder
	for line := range strings.Lines(string(installed)) {
		line = strings.TrimSpace(line)
		module := strings.TrimPrefix(line, "kernel/")
		links[module] = filepath.Join(k.Modules, line)
		order.WriteString(strings.TrimSuffix(module, ".ko") + ".o\n")
	}
	place(t, dir, links)
	labtest.WriteFile(t, filepath.Join(dir, "modules.order"), order.String())
	if err := os.Mkdir(filepath.Join(dir, "include"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "include/config"), 0o755); err != nil {
		t.Fatal(err)
	}
	labtest.WriteFile(t, filepath.Join(dir, "include/config/kernel.release"), k.Release+"\n")
	return dir
}

// installedTree has them where they are installed below a prefix, with no depmod there.
func installedTree(t *testing.T, k *kernels.Kernel) string {
	t.Helper()
	dir := t.TempDir()
	links := map[string]string{
		"boot/vmlinuz-" + k.Release: filepath.Join(storeOf(k), "vmlinuz"),
		"boot/config-" + k.Release:  filepath.Join(storeOf(k), "config"),
	}
	err := filepath.WalkDir(k.Modules, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), "modules.dep") {
			return err
		}
		name, err := filepath.Rel(k.Modules, path)
		links[filepath.Join("usr/lib/modules", k.Release, name)] = path
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	place(t, dir, links)
	return dir
}

// ubuntuPackages has the image in one package, and in two more those modules that the guest
// loads, packed with zstd.
func ubuntuPackages(t *testing.T, k *kernels.Kernel) (paths []string) {
	t.Helper()
	tree := t.TempDir()
	image, modules, extra := filepath.Join(tree, "image"), filepath.Join(tree, "modules"), filepath.Join(tree, "extra")
	lib := filepath.Join("lib/modules", k.Release)
	write := func(path string, content []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, path, string(content))
	}
	for to, from := range map[string]string{
		filepath.Join(image, "boot/vmlinuz-"+k.Release):        filepath.Join(storeOf(k), "vmlinuz"),
		filepath.Join(modules, "boot/config-"+k.Release):       filepath.Join(storeOf(k), "config"),
		filepath.Join(modules, lib, "modules.order"):           filepath.Join(k.Modules, "modules.order"),
		filepath.Join(modules, lib, "modules.builtin"):         filepath.Join(k.Modules, "modules.builtin"),
		filepath.Join(modules, lib, "modules.builtin.modinfo"): filepath.Join(k.Modules, "modules.builtin.modinfo"),
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(to, content)
	}
	out, err := exec.Command("modprobe", "-C", "/dev/null", "-d", storeOf(k), "-S", k.Release, "--show-depends", "-a", "virtio_pci", "virtio_console",
		"virtio_blk", "9pnet_virtio", "9p", "overlay", "ext4", "crc32c_generic", "loop", "crc32_generic", "veth", "ib_uverbs", "rdma_rxe", "xfs").Output()
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] != "insmod" {
			continue
		}
		content, err := os.ReadFile(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(k.Modules, fields[1])
		if err != nil {
			t.Fatal(err)
		}
		in := modules
		if strings.Contains(name, "infiniband") {
			in = extra
		}
		write(filepath.Join(in, lib, name+".zst"), encoder.EncodeAll(content, nil))
	}
	for name, dir := range map[string]string{"linux-image-unsigned-": image, "linux-modules-": modules, "linux-modules-extra-": extra} {
		name += k.Release
		write(filepath.Join(dir, "DEBIAN/control"), []byte("Package: "+name+"\nVersion: 5.10.0-46.46\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDescription: test\n"))
		path := filepath.Join(tree, name+"_5.10.0-46.46_amd64.deb")
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, path).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb: %v: %s", err, out)
		}
		paths = append(paths, path)
	}
	return paths
}
