package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/labtest"
)

// Each thing that can be wrong with a directory has its sentence.
func TestBadDirectories(t *testing.T) {
	const lib = "lib/modules/" + mine
	arm := "# Linux/arm64 6.9.0 Kernel Configuration\nCONFIG_ARM64=y\nCONFIG_64BIT=y\n"
	i386 := "# Linux/x86 6.9.0 Kernel Configuration\nCONFIG_X86_32=y\n"
	small := labtest.BzImage(nil)
	for says, content := range map[string]map[string]string{
		"there is no kernel in it: neither a tree in which one was built":                    {"README": "hello"},
		"is not built yet, it has neither vmlinux nor arch/x86/boot/bzImage: run make first": {".config": configWithout("")},
		"not built yet, it has":                                                                            {"Kconfig": "", "MAINTAINERS": ""},
		"configured for arm64, and the lab's guests are amd64":                                             with(builtTree(), ".config", arm),
		"configured for 32-bit x86":                                                                        with(builtTree(), ".config", i386),
		"the kernel in it, arch/arm64/boot/Image, is built for another machine":                            {"Kconfig": "", "arch/arm64/boot/Image": "MZ"},
		"vmlinux: it is a kernel for aarch64, and the lab's guests are amd64":                              with(without(builtTree(), ".config"), "vmlinux", otherMachine()),
		"vmlinux: it is no image of a kernel for amd64":                                                    with(builtTree(), "vmlinux", "text"),
		"vmlinux: it is a damaged ELF file":                                                                with(builtTree(), "vmlinux", "\x7fELF"),
		"has no PVH entry to boot it by, and there is no bzImage: run 'make bzImage'":                      with(builtTree(), "vmlinux", strings.Replace(imageOf(mine), "Xen\x00", "Xem\x00", 1)),
		"bzImage: it is a 32-bit kernel":                                                                   with(without(builtTree(), "vmlinux"), "arch/x86/boot/bzImage", string(small)),
		"vmlinux is kernel 6.9.0-mine, and include/config/kernel.release tells of 6.10.0 by now: run make": with(builtTree(), "include/config/kernel.release", "6.10.0"),
		"its image is kernel 6.9.0-mine, and its modules are of 6.8.0-mine: run 'make modules'":            with(builtTree(), "fs/xfs/xfs.ko", ko("6.8.0-mine")),
		"xfs.ko: it is no kernel module":                                                                   with(builtTree(), "fs/xfs/xfs.ko", ""),
		"it has no modules.order, which lists its modules: run 'make modules'":                             without(builtTree(), "modules.order"),
		`modules.order lists "fs/jbd2/jbd2.o", and there is no such module`:                                with(builtTree(), "modules.order", "fs/xfs/xfs.o\nfs/jbd2/jbd2.o\n"),
		`modules.order lists "../../x.ko", and there is no such module`:                                    with(builtTree(), "modules.order", "../../x.ko\n"),
		`vmlinux: read`:                         with(without(builtTree(), "vmlinux"), "vmlinux/", ""),
		`"../../etc" is no release of a kernel`: with(builtTree(), "include/config/kernel.release", "../../etc", "vmlinux", string(labtest.PVHImage()), "modules.order", ""),
		"it has no lib/modules/6.9.0-mine with the kernel's modules, and no boot/config":       {"boot/vmlinuz-" + mine: imageOf(mine)},
		"its image is kernel 6.9.0-mine, and its modules are of 6.8.0":                         with(without(installed(), lib+"/modules.order", lib+"/modules.builtin", lib+"/build", lib+"/kernel/fs/xfs/xfs.ko"), "lib/modules/6.8.0/modules.order", ""),
		"the modules of 6.9.0-mine are in it, and no image (boot/vmlinuz-RELEASE)":             without(installed(), "boot/vmlinuz-"+mine),
		"several kernels are in it, 6.10.0, 6.9.0-mine: give the lib/modules/RELEASE of one":   with(installed(), "boot/vmlinuz-6.10.0", imageOf("6.10.0"), "lib/modules/6.10.0/modules.order", ""),
		"the images of several kernels are in it, 6.10.0, 6.9.0-mine, and the modules of none": {"boot/vmlinuz-6.10.0": "", "boot/vmlinuz-" + mine: ""},
		"boot/vmlinuz-6.9.0-mine is kernel 6.8.0, and not 6.9.0-mine as it is called":          with(installed(), "boot/vmlinuz-"+mine, imageOf("6.8.0")),
		"vmlinuz-6.9.0-mine: it is a kernel for arm64, and the lab's":                          with(installed(), "boot/vmlinuz-"+mine, strings.Repeat("\x00", 0x38)+"ARM\x64"),
		"vmlinuz-6.9.0-mine: it is a compressed kernel for another machine":                    with(installed(), "boot/vmlinuz-"+mine, "MZ\x00\x00zimg"),
		"kernel 6.9.0-mine in it is configured for arm64":                                      with(installed(), "boot/config-"+mine, arm),
	} {
		s, _ := newTestStore(t)
		dir := files(t, content)
		_, err := s.FromDirectory(t.Context(), dir)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "--kernel "+dir+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\nwant a usage error with %q", err, says)
		}
		if _, err := os.Stat(s.Dir); err == nil {
			t.Errorf("%s: something was made of it", says)
		}
	}
	s, _ := newTestStore(t)
	if _, err := s.FromDirectory(t.Context(), filepath.Join(files(t, without(installed(), "boot/vmlinuz-"+mine)), lib)); err == nil || !strings.Contains(err.Error(), "there is no image of kernel 6.9.0-mine with these modules") {
		t.Errorf("modules alone: %v", err)
	}
}

// A list of modules leads nowhere out of the tree, whatever is there.
func TestModulesInOrder(t *testing.T) {
	dir := files(t, map[string]string{"tree/fs/x.ko": "", "tree/kernel/torture.ko": "", "outside.ko": "", "outside/x.ko": "", "tree/link": "->../outside"})
	for line, want := range map[string]string{
		"fs/x.o": "fs/x.ko", "fs/x.ko": "fs/x.ko", "kernel/fs/x.ko": "fs/x.ko", "kernel/torture.o": "kernel/torture.ko", "kernel/kernel/torture.ko": "kernel/torture.ko",
		"../outside.ko": "", "kernel/../../outside.ko": "", filepath.Join(dir, "outside.ko"): "", "kernel/" + dir + "/outside.ko": "", "": "", "fs": "", "none.o": "",
	} {
		got, err := modulesInOrder(strings.NewReader(line+"\n"), func(name string) bool { return exists(filepath.Join(dir, "tree", name)) })
		if strings.Join(got, " ") != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}

// What cannot be read is not taken for what is not there.
func TestUnreadableDirectory(t *testing.T) {
	if os.Geteuid() != 0 { // whose files are all readable; a thread can be somebody else
		t.Log("as an ordinary user")
	} else {
		runtime.LockOSThread() // and never unlocked: the thread ends with the test
		const nobody = 65534
		if _, err := unix.SetfsuidRetUid(nobody); err != nil {
			t.Fatal(err)
		}
	}
	s := &Store{Dir: "/nowhere"}                   // it does not come as far
	dir, err := os.MkdirTemp("/tmp", "unreadable") // the test's own directory is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	add(t, dir, installed())
	for _, name := range []string{"boot/vmlinuz-" + mine, "boot/config-" + mine, "boot", "lib/modules", "."} {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		if !IsDirectory(dir) {
			t.Errorf("%s: it is no directory any more", name)
		}
		if _, err := s.FromDirectory(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIsDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	add(t, dir, map[string]string{"5.10/": "", "6.9.1/": "", "linux/": "", "a.deb/": "", "sid/": "", "file": ""})
	for name, want := range map[string]bool{
		"5.10": false, "./5.10": true, "6.9.1": false, "6.9.1/": true, "sid": false, "linux": true, "linux/": true, ".": true,
		"a.deb": false, "file": false, "none": false, "": false, dir: true,
	} {
		if got := IsDirectory(name); got != want {
			t.Errorf("IsDirectory(%q) = %t", name, got)
		}
	}
}
