package kernels

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/kernels/image"
)

// tree is a kernel in a directory, where it stays.
type tree struct {
	dir     string // absolute, without symbolic links
	root    string // where links lead into: dir, or what it is below
	release string
	image   string // path of a bzImage, or of an ELF image with a PVH entry
	elf     bool   // it is the latter
	config  string // path; empty: there is none beside it
	log     logrus.FieldLogger

	modules string            // lib/modules/RELEASE that has been through depmod, or empty: it is made of
	links   map[string]string // what is to be in it, by its path there: paths of the files
	order   []string          // the modules in it, in the order in which they were built; nil: links has modules.order
}

// findTree finds the kernel in a directory: what 'make' or what 'make modules_install' and
// 'make tar-pkg' left there. Its errors are the directory's.
func findTree(dir string, log logrus.FieldLogger) (*tree, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, err
	}
	for _, find := range []func(string, logrus.FieldLogger) (*tree, error){buildTree, installedTree} {
		if t, err := find(dir, log); t != nil || err != nil {
			return t, err
		}
	}
	return nil, errors.New("there is no kernel in it: neither a tree in which one was built (arch/x86/boot/bzImage or vmlinux) " +
		"nor an installed one (boot/vmlinuz-RELEASE and lib/modules/RELEASE)")
}

// buildTree finds the kernel that was built in a directory; nil: it is no such tree.
func buildTree(dir string, log logrus.FieldLogger) (*tree, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	const releaseFile = "include/config/kernel.release"
	if !slices.ContainsFunc([]string{".config", releaseFile, "vmlinux", "arch/x86/boot/bzImage", "Kconfig"}, func(name string) bool { return exists(at(name)) }) {
		return nil, nil
	}
	t := &tree{dir: dir, root: dir, links: map[string]string{}, log: log}
	if exists(at(".config")) {
		t.config = at(".config")
	}
	c, err := readConfig(t.config)
	if err != nil {
		return nil, err
	}
	if other := c.otherArch(); other != "" {
		return nil, fmt.Errorf("the kernel in it is configured for %s, and the lab's guests are amd64", other)
	}
	of, err := t.takeImage(at("vmlinux"), at("arch/x86/boot/bzImage"))
	if errors.Is(err, fs.ErrNotExist) {
		if others, _ := filepath.Glob(at("arch/*/boot/*Image*")); len(others) > 0 { // the pattern is right
			return nil, fmt.Errorf("the kernel in it, %s, is built for another machine, and the lab's guests are amd64", strings.TrimPrefix(others[0], dir+"/"))
		}
		return nil, errors.New("the kernel in it is not built yet, it has neither vmlinux nor arch/x86/boot/bzImage: run make first")
	} else if err != nil {
		return nil, err
	}
	told, err := os.ReadFile(at(releaseFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t.release = cmp.Or(strings.TrimSpace(string(told)), of)
	if of != "" && of != t.release {
		return nil, fmt.Errorf("%s is kernel %s, and %s tells of %s by now: run make", t.image, of, releaseFile, t.release)
	}
	if err := t.takeBuiltModules(c); err != nil {
		return nil, err
	}
	return t, nil
}

// takeBuiltModules takes those that modules.order lists, which 'make modules_install' would
// install, and the lists of what is built in.
func (t *tree) takeBuiltModules(c configuration) error {
	for _, name := range []string{"modules.builtin", "modules.builtin.modinfo"} {
		if path := filepath.Join(t.dir, name); exists(path) {
			t.links[name] = path
		}
	}
	t.order = []string{}
	listed, err := os.Open(filepath.Join(t.dir, "modules.order"))
	if errors.Is(err, fs.ErrNotExist) {
		if c.known() && !c.hasModules() {
			return nil
		}
		return errors.New("it has no modules.order, which lists its modules: run 'make modules'")
	} else if err != nil {
		return err
	}
	defer listed.Close()
	names, err := modulesInOrder(listed, func(name string) bool { return exists(filepath.Join(t.dir, name)) })
	if err != nil {
		return err
	}
	for i, name := range names {
		path := filepath.Join(t.dir, name)
		if i == 0 {
			if of, err := moduleRelease(path); err != nil {
				return fmt.Errorf("%s: %w: run 'make modules'", path, err)
			} else if of != t.release {
				return fmt.Errorf("its image is kernel %s, and its modules are of %s: run 'make modules'", t.release, of)
			}
		}
		t.order = append(t.order, "kernel/"+name)
		t.links["kernel/"+name] = path
	}
	return nil
}

// modulesInOrder are the paths in a tree of the modules that a modules.order lists, each once; has
// says what the tree has. A line is fs/ext4/ext4.o since Linux 6.2 (f65a486821cf), fs/ext4/ext4.ko
// before, and with kernel/ before it, as where it is installed, up to 5.3.
func modulesInOrder(order io.Reader, has func(name string) bool) ([]string, error) {
	var names []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(order)
	for lines.Scan() {
		name := strings.TrimSuffix(strings.TrimSuffix(lines.Text(), ".o"), ".ko") + ".ko"
		found := slices.IndexFunc([]string{name, strings.TrimPrefix(name, "kernel/")}, func(name string) bool { return filepath.IsLocal(name) && has(name) })
		if found < 0 {
			return nil, fmt.Errorf("modules.order lists %.200q, and there is no such module in it: run 'make modules'", lines.Text())
		}
		if found == 1 {
			name = strings.TrimPrefix(name, "kernel/")
		}
		if name = filepath.Clean(name); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("modules.order has a line of more than %d bytes, and lists modules: run 'make modules'", bufio.MaxScanTokenSize)
	}
	return names, lines.Err()
}

// takeImage takes the first that is there and can be booted, and returns of which release it
// is, if it tells.
func (t *tree) takeImage(paths ...string) (release string, err error) {
	var refused string
	for _, path := range paths {
		kind, err := image.KindOf(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("%s: %w", path, err)
		case kind == image.ELFWithoutPVH:
			refused = path
			continue
		}
		if refused != "" && modified(refused) > modified(path) {
			t.log.Warnf("lab: %s is older than %s, and boots what was built before it: run make", path, refused)
		}
		t.image, t.elf = path, kind == image.ELF
		return image.Release(path)
	}
	if refused != "" {
		return "", fmt.Errorf("%s has no PVH entry to boot it by, and there is no bzImage: run 'make bzImage', or set CONFIG_PVH", refused)
	}
	return "", fs.ErrNotExist
}

// moduleRelease reads for which kernel a module was built: its vermagic begins with it.
func moduleRelease(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("it is no kernel module: %w", err)
	}
	defer f.Close()
	if section := f.Section(".modinfo"); section != nil {
		info, err := section.Data()
		if err != nil {
			return "", err
		}
		for entry := range strings.SplitSeq(string(info), "\x00") {
			if magic, ok := strings.CutPrefix(entry, "vermagic="); ok {
				release, _, _ := strings.Cut(magic, " ")
				return release, nil
			}
		}
	}
	return "", errors.New("it is no kernel module: it has no vermagic")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// modified is when a file was changed last, in nanoseconds.
func modified(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.ModTime().UnixNano()
}
