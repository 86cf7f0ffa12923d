package kernels

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	logtest "github.com/sirupsen/logrus/hooks/test"

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
	if err := k.CopyBootModules(&archive, nil); err != nil || archive.Len() == 0 {
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
	config := strings.NewReplacer("CONFIG_XFS_FS=m\n", "# CONFIG_MODULES is not set\n", "=m\n", "=y\n").Replace(configWithout(""))
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
		if err := k.CopyBootModules(new(bytes.Buffer), nil); err != nil {
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

// A store tells what it does to whom it is told to.
func TestStoreLog(t *testing.T) {
	s, _ := newTestStore(t)
	log, told := logtest.NewNullLogger()
	s.Log = log
	dir := files(t, builtTree())
	if _, err := s.FromDirectory(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if first := told.LastEntry(); len(told.AllEntries()) != 1 || !strings.Contains(first.Message, "preparing kernel "+mine+" in "+dir) {
		t.Errorf("told %+v", told.AllEntries())
	}
}
