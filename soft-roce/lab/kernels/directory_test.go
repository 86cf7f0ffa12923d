package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/labtest"
)

const mine = "6.9.0-mine"

// imageOf is an ELF image that is taken for a kernel of the release, with a PVH entry.
func imageOf(release string) string {
	return string(labtest.PVHImage()) + "\x00Linux version " + release + " (me@here) #1\x00"
}

// otherMachine is an ELF image of an arm64 kernel.
func otherMachine() string {
	raw := []byte(imageOf(mine))
	binary.LittleEndian.PutUint16(raw[18:], 183) // e_machine: EM_AARCH64
	return string(raw)
}

// ko is a module's file that says for which kernel it was built, and nothing else.
func ko(release string) string {
	names := "\x00.modinfo\x00.shstrtab\x00"
	info := "name=mine\x00vermagic=" + release + " SMP mod_unload \x00"
	le := binary.LittleEndian
	b := []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, field := range []uint16{1, 62} { // ET_REL, EM_X86_64
		b = le.AppendUint16(b, field)
	}
	b = le.AppendUint32(b, 1)
	sections := uint64(64 + len(names) + len(info))
	for _, field := range []uint64{0, 0, sections} {
		b = le.AppendUint64(b, field)
	}
	b = le.AppendUint32(b, 0)
	for _, field := range []uint16{64, 0, 0, 64, 3, 2} {
		b = le.AppendUint16(b, field)
	}
	b = append(b, names+info...)
	section := func(name, kind uint32, flags, at, size uint64) {
		b = le.AppendUint32(le.AppendUint32(b, name), kind)
		for _, field := range []uint64{flags, 0, at, size, 0, 1, 0} {
			b = le.AppendUint64(b, field)
		}
	}
	section(0, 0, 0, 0, 0)
	section(1, 1, 2, uint64(64+len(names)), uint64(len(info)))
	section(10, 3, 0, 64, uint64(len(names)))
	return string(b)
}

// files makes a directory with these, by their paths.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	add(t, dir, content)
	return dir
}

// add adds files to a directory: "->PATH" is a link, and "" with a name that ends in / a directory.
func add(t *testing.T, dir string, content map[string]string) {
	t.Helper()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(text, "->")
		switch {
		case strings.HasSuffix(name, "/"):
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		case link:
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		default:
			labtest.WriteFile(t, path, text)
		}
	}
}

// with is one map of files with others, or other content.
func with(content map[string]string, others ...string) map[string]string {
	both := map[string]string{}
	for name, text := range content {
		both[name] = text
	}
	for i := 0; i < len(others); i += 2 {
		both[others[i]] = others[i+1]
	}
	return both
}

func without(content map[string]string, names ...string) map[string]string {
	left := with(content)
	for _, name := range names {
		delete(left, name)
	}
	return left
}

// builtTree is what the build leaves of a kernel with one module.
func builtTree() map[string]string {
	return map[string]string{
		".config": configWithout(""), "include/config/kernel.release": mine + "\n", "vmlinux": imageOf(mine),
		"fs/xfs/xfs.ko": ko(mine), "modules.order": "fs/xfs/xfs.o\n", "modules.builtin": "kernel/fs/ext4/ext4.ko\n",
	}
}

// installed is what is installed of one.
func installed() map[string]string {
	const modules = "lib/modules/" + mine
	return map[string]string{
		"boot/vmlinuz-" + mine: imageOf(mine), "boot/config-" + mine: configWithout(""),
		modules + "/kernel/fs/xfs/xfs.ko": ko(mine), modules + "/modules.order": "kernel/fs/xfs/xfs.ko\n",
		modules + "/modules.builtin": "kernel/fs/ext4/ext4.ko\n", modules + "/build": "->/nowhere",
	}
}

// checkKernel looks at what the guest would boot with, and at the module that it would find.
func checkKernel(t *testing.T, k Kernel, dir string) {
	t.Helper()
	if k.Release != mine || k.IsStock() {
		t.Errorf("%+v", k)
	}
	var archive bytes.Buffer
	if err := k.CopyBootModules(&archive); err != nil || archive.Len() == 0 {
		t.Errorf("boot modules: %d bytes, %v", archive.Len(), err)
	}
	if err := k.CheckDevice(); err != nil {
		t.Error(err)
	}
	out, err := exec.Command("modprobe", "-C", "/dev/null", "-d", filepath.Join(k.Modules, "../../.."), "-S", k.Release, "--show-depends", "xfs").CombinedOutput()
	path, _ := strings.CutPrefix(strings.TrimSpace(string(out)), "insmod ")
	if path, err := filepath.EvalSymlinks(strings.TrimSpace(path)); err != nil || filepath.Base(path) != "xfs.ko" || !strings.HasPrefix(path, dir+"/") {
		t.Errorf("modprobe finds %q, %v", out, err)
	}
	if err != nil {
		t.Errorf("modprobe: %v: %s", err, out)
	}
}

// A tree in which a kernel was built has it, in any version's format of modules.order.
func TestBuiltKernel(t *testing.T) {
	s, m := newTestStore(t)
	for name, content := range map[string]map[string]string{
		"6.2 and newer": builtTree(),
		"5.4 to 6.1":    with(builtTree(), "modules.order", "fs/xfs/xfs.ko\n"),
		"5.3 and older": with(builtTree(), "modules.order", "kernel/fs/xfs/xfs.ko\n"),
		"no release":    without(builtTree(), "include/config/kernel.release"),
		"no config":     without(builtTree(), ".config"),
	} {
		dir := files(t, content)
		if name == "no config" { // then its list is all there is
			add(t, dir, map[string]string{"modules.builtin": builtinList()})
		}
		k, err := s.FromDirectory(t.Context(), dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkKernel(t, k, dir)
		if k.Image != filepath.Join(dir, "vmlinux") || k.LinksTo != dir || m.looked.Load() != 0 {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func builtinList() string {
	var list strings.Builder
	for _, stage := range bootStages {
		for _, m := range stage.required {
			list.WriteString("kernel/drivers/" + m.name + ".ko\n")
		}
	}
	return list.String()
}

// What is made of a tree is made once, and again when it was built again; it goes with the tree.
func TestBuiltAgain(t *testing.T) {
	s, _ := newTestStore(t)
	dir := files(t, builtTree())
	made := func() os.FileInfo {
		t.Helper()
		k, err := s.FromDirectory(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		checkKernel(t, k, dir)
		st, err := os.Stat(filepath.Join(k.Modules, "modules.dep"))
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	first := made()
	if again := made(); !os.SameFile(first, again) {
		t.Error("it was made twice of the same")
	}
	later := time.Now().Add(time.Minute)
	for _, path := range []string{"fs/xfs/xfs.ko", "vmlinux"} {
		if err := os.Chtimes(filepath.Join(dir, path), later, later); err != nil {
			t.Fatal(err)
		}
		second := made()
		if os.SameFile(first, second) {
			t.Errorf("it was not made again of another %s", path)
		}
		first = second
	}
	if err := os.Remove(filepath.Join(s.Dir, directoriesDir)); err == nil {
		t.Fatal("nothing was made")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FromDirectory(t.Context(), files(t, builtTree())); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, directoriesDir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("%q, %v; want what was made of the one that is there", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir, newPrefix+"*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// A bzImage is unpacked, and comes after an image that needs no unpacking.
func TestBuiltBzImage(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	unpacked := imageOf(mine) + labtest.IKConfig(t, configWithout(""))
	packed := labtest.BzImage(binary.LittleEndian.AppendUint32(encoder.EncodeAll([]byte(unpacked), nil), uint32(len(unpacked))))
	packed[0x236] = 1 // XLF_KERNEL_64
	bz := with(builtTree(), "arch/x86/boot/bzImage", string(packed))
	withoutPVH := strings.Replace(imageOf(mine), "Xen\x00", "Xem\x00", 1)
	for name, content := range map[string]map[string]string{
		"no vmlinux":                          without(bz, "vmlinux"),
		"a vmlinux with no entry":             with(bz, "vmlinux", withoutPVH),
		"a configuration in the image alone":  without(bz, "vmlinux", ".config", "modules.builtin"),
		"a vmlinux, and only in it a release": without(bz, "include/config/kernel.release"),
	} {
		s, _ := newTestStore(t)
		dir := files(t, content)
		k, err := s.FromDirectory(t.Context(), dir)
		if name == "a vmlinux, and only in it a release" {
			if err != nil || k.Image != filepath.Join(dir, "vmlinux") {
				t.Errorf("%s: %+v, %v", name, k, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkKernel(t, k, dir)
		if got, err := os.ReadFile(k.Image); err != nil || string(got) != unpacked || !strings.HasPrefix(k.Image, s.Dir) {
			t.Errorf("%s: %s, %v", name, k.Image, err)
		}
	}
}

// A kernel with everything built in has no modules to install, and may not even list what it has.
func TestKernelWithoutModules(t *testing.T) {
	config := strings.ReplaceAll(configWithout(""), "CONFIG_XFS_FS=m\n", "# CONFIG_MODULES is not set\n")
	for name, content := range map[string]map[string]string{
		"built":                 {".config": config, "vmlinux": imageOf(mine), "include/config/kernel.release": mine},
		"installed":             {"boot/vmlinuz-" + mine: imageOf(mine), "boot/config-" + mine: config},
		"with a list":           {".config": config, "vmlinux": imageOf(mine), "modules.builtin": builtinList()},
		"with an empty listing": {".config": config, "vmlinux": imageOf(mine), "modules.order": ""},
	} {
		s, _ := newTestStore(t)
		k, err := s.FromDirectory(t.Context(), files(t, content))
		if err != nil || k.Release != mine || !isDir(k.Modules) {
			t.Errorf("%s: %+v, %v", name, k, err)
			continue
		}
		if err := k.CopyBootModules(new(bytes.Buffer)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Directories as the ways to install leave them, distributions' among them.
func TestInstalledKernel(t *testing.T) {
	const lib = "lib/modules/" + mine
	const usr = "usr/" + lib
	moved := func(from, to string) map[string]string {
		content := map[string]string{}
		for name, text := range installed() {
			content[strings.Replace(name, from, to, 1)] = text
		}
		return content
	}
	split := moved("lib/modules", "usr/lib/modules")
	// The place that has no xfs.ko has been through depmod, but the other has not.
	split[lib+"/updates/zfs.ko"], split[lib+"/modules.dep"] = ko(mine), "updates/zfs.ko:\n"
	for name, tt := range map[string]struct {
		content map[string]string
		below   string // directory to give; empty: all
	}{
		"modules_install":         {content: installed()},
		"modules below usr":       {content: moved("lib/modules", "usr/lib/modules")},
		"merged usr":              {content: with(moved("lib/modules", "usr/lib/modules"), "lib", "->usr/lib")},
		"in both places":          {content: split},
		"image among the modules": {content: with(without(installed(), "boot/vmlinuz-"+mine, "boot/config-"+mine), lib+"/vmlinuz", imageOf(mine), lib+"/config", configWithout(""))},
		"its modules":             {content: installed(), below: lib},
		"its modules, below usr":  {content: with(moved("lib/modules", "usr/lib/modules"), "boot/vmlinuz-6.8.0-other", imageOf("6.8.0-other"), "usr/lib/modules/6.8.0-other/", ""), below: usr},
		"without installkernel":   {content: with(without(installed(), "boot/vmlinuz-"+mine), "boot/vmlinuz", imageOf(mine))},
		"headers beside":          {content: with(without(installed(), lib+"/build"), lib+"/build/drivers/xfs.ko", ko("6.8.0"), lib+"/source/xfs.ko", ko("6.8.0"))},
		"an older image beside":   {content: with(installed(), "boot/vmlinuz-6.8.0-other", imageOf("6.8.0-other"), "boot/vmlinuz-"+mine+".old", "old")},
		"an image of its build":   {content: with(without(installed(), "boot/vmlinuz-"+mine, lib+"/build"), lib+"/build", "->../../../here", "here/vmlinux", imageOf(mine))},
	} {
		s, _ := newTestStore(t)
		dir := files(t, tt.content)
		k, err := s.FromDirectory(t.Context(), filepath.Join(dir, tt.below))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkKernel(t, k, dir)
		if left, err := filepath.Glob(filepath.Join(k.Modules, "[bs]*")); err != nil || len(left) > 0 {
			t.Errorf("%s: it has the sources: %q", name, left)
		}
		if k.LinksTo != dir {
			t.Errorf("%s: links to %q, want %s", name, k.LinksTo, dir)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*/modules/*/modules.dep.bin")); err != nil || len(left) > 0 {
			t.Errorf("%s: it was written to: %q", name, left)
		}
	}
}

// Modules that depmod has been through are taken where they are.
func TestInstalledKernelInPlace(t *testing.T) {
	s, _ := newTestStore(t)
	dir := files(t, installed())
	if out, err := exec.Command("depmod", "-b", dir, mine).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k, err := s.FromDirectory(t.Context(), dir)
	if err != nil || k.Modules != filepath.Join(dir, "lib/modules", mine) || k.LinksTo != "" || k.Image != filepath.Join(dir, "boot/vmlinuz-"+mine) {
		t.Fatalf("%+v, %v", k, err)
	}
	checkKernel(t, k, dir)
}

// The guest has its modules where the host's own are, so that links to those would lead to
// themselves.
func TestHostsModulesWithoutDepmod(t *testing.T) {
	dir := filepath.Join(files(t, installed()), "lib/modules", mine)
	host := tree{dir: "/", root: "/", release: mine, links: map[string]string{}}
	if err := host.takeInstalledModules(map[string][]string{mine: {dir}}, configuration{}); err == nil || !strings.Contains(err.Error(), "run 'depmod 6.9.0-mine'") {
		t.Errorf("%v", err)
	}
}

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
func TestBuiltModule(t *testing.T) {
	dir := files(t, map[string]string{"tree/fs/x.ko": "", "tree/kernel/torture.ko": "", "outside.ko": "", "outside/x.ko": "", "tree/link": "->../outside"})
	for line, want := range map[string]string{
		"fs/x.o": "fs/x.ko", "fs/x.ko": "fs/x.ko", "kernel/fs/x.ko": "fs/x.ko", "kernel/torture.o": "kernel/torture.ko", "kernel/kernel/torture.ko": "kernel/torture.ko",
		"../outside.ko": "", "kernel/../../outside.ko": "", filepath.Join(dir, "outside.ko"): "", "kernel/" + dir + "/outside.ko": "", "": "", "fs": "", "none.o": "",
	} {
		if got, ok := (&tree{dir: filepath.Join(dir, "tree")}).builtModule(line); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", line, got, ok, want)
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
