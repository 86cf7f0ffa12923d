package kernels

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/kernels/image"
)

// installedTree finds the kernel that was installed below a directory, or whose lib/modules/RELEASE
// the directory is; nil: there is none.
func installedTree(dir string, log logrus.FieldLogger) (*tree, error) {
	root, only := dir, ""
	if parent := filepath.Dir(dir); strings.HasSuffix(parent, "/lib/modules") {
		root, only = strings.TrimSuffix(parent, "/lib/modules"), filepath.Base(dir)
		if filepath.Base(root) == "usr" { // to which /lib is a link
			root = filepath.Dir(root)
		}
		root = cmp.Or(root, "/")
	}
	modules, err := installedModules(root)
	if err != nil {
		return nil, err
	}
	images, err := installedImages(root, modules)
	if err != nil {
		return nil, err
	}
	release, err := chooseRelease(images, modules, only)
	if release == "" || err != nil {
		return nil, err
	}
	t := &tree{dir: dir, root: root, release: release, links: map[string]string{}, log: log}
	t.config = configBeside(root, release, modules[release]...)
	c, err := readConfig(t.config)
	if err != nil {
		return nil, err
	}
	if other := c.otherArch(); other != "" {
		return nil, fmt.Errorf("kernel %s in it is configured for %s, and the lab's guests are amd64", release, other)
	}
	of, err := t.takeImage(images[release]...)
	if err != nil {
		return nil, err
	}
	if of != "" && of != release {
		return nil, fmt.Errorf("%s is kernel %s, and not %s as it is called", t.image, of, release)
	}
	return t, t.takeInstalledModules(modules, c)
}

// installedModules finds the directories of modules, in lib and in usr/lib, by the releases.
func installedModules(root string) (map[string][]string, error) {
	found := map[string][]string{}
	for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
		dir, err := filepath.EvalSymlinks(filepath.Join(root, lib))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		entries, err := readDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			if isDir(path) && !slices.Contains(found[entry.Name()], path) {
				found[entry.Name()] = append(found[entry.Name()], path)
			}
		}
	}
	return found, nil
}

// installedImages finds the images, by the releases that they are called after, the best first.
func installedImages(root string, modules map[string][]string) (map[string][]string, error) {
	found := map[string][]string{}
	boot := filepath.Join(root, "boot")
	entries, err := readDir(boot)
	if err != nil {
		return nil, err
	}
	// vmlinux, which 'make tar-pkg' has too, comes before vmlinuz.
	for _, entry := range entries {
		path := filepath.Join(boot, entry.Name())
		kind, release, named := strings.Cut(entry.Name(), "-")
		switch {
		case kind != "vmlinux" && kind != "vmlinuz" || slices.Contains([]string{".old", ".gz", ".bz2", ".xz", ".zst"}, filepath.Ext(release)):
			continue
		case !named && kind == "vmlinuz": // as 'make install' calls it where there is no installkernel
			if release, err = image.Release(path); err != nil {
				return nil, err
			}
		}
		if release != "" && !slices.Contains(found[release], path) {
			found[release] = append(found[release], path)
		}
	}
	for release, dirs := range modules {
		// Of a package, and where 'make modules_install' found them.
		for _, path := range withFile(dirs, "vmlinuz", "build/vmlinux", "build/arch/x86/boot/bzImage") {
			if exists(path) {
				found[release] = append(found[release], path)
			}
		}
	}
	return found, nil
}

// chooseRelease is the one of which there is an image, and of several the one with modules; empty:
// there is nothing.
func chooseRelease(images, modules map[string][]string, only string) (string, error) {
	if only != "" {
		if len(images[only]) == 0 {
			return "", fmt.Errorf("there is no image of kernel %s with these modules (boot/vmlinuz-%s, vmlinuz): give it as --kernel IMAGE --modules DIR", only, only)
		}
		return only, nil
	}
	var whole []string
	for _, release := range slices.Sorted(maps.Keys(images)) {
		if len(modules[release]) > 0 {
			whole = append(whole, release)
		}
	}
	switch hasImages := slices.Sorted(maps.Keys(images)); {
	case len(whole) == 1:
		return whole[0], nil
	case len(whole) > 1:
		return "", fmt.Errorf("several kernels are in it, %s: give the lib/modules/RELEASE of one", strings.Join(whole, ", "))
	case len(hasImages) == 1:
		return hasImages[0], nil
	case len(hasImages) > 1:
		return "", fmt.Errorf("the images of several kernels are in it, %s, and the modules of none", strings.Join(hasImages, ", "))
	case len(modules) > 0:
		return "", fmt.Errorf("the modules of %s are in it, and no image (boot/vmlinuz-RELEASE): copy arch/x86/boot/bzImage there, or give it as --kernel IMAGE --modules DIR",
			strings.Join(slices.Sorted(maps.Keys(modules)), ", "))
	}
	return "", nil
}

// configBeside is the path of an installed kernel's configuration; empty: there is none.
func configBeside(root, release string, modules ...string) string {
	paths := append([]string{filepath.Join(root, "boot/config-"+release)}, withFile(modules, "config", "build/.config")...)
	if i := slices.IndexFunc(paths, exists); i >= 0 {
		return paths[i]
	}
	return ""
}

// takeInstalledModules takes a directory that depmod has been through as it is. Else it is
// not the lab's to write to, and what is in it is linked to, in one or in both places.
func (t *tree) takeInstalledModules(modules map[string][]string, c configuration) error {
	dirs := modules[t.release]
	switch {
	case len(dirs) == 0 && c.known() && !c.hasModules():
		t.order = []string{}
		return nil
	case len(dirs) == 0 && len(modules) > 0:
		return fmt.Errorf("its image is kernel %s, and its modules are of %s: give the two of one kernel", t.release, strings.Join(slices.Sorted(maps.Keys(modules)), ", "))
	case len(dirs) == 0:
		return fmt.Errorf("it has no lib/modules/%s with the kernel's modules, and no boot/config-%s that says there are none: run 'make modules_install INSTALL_MOD_PATH=%s'", t.release, t.release, t.dir)
	case len(dirs) == 1 && exists(filepath.Join(dirs[0], "modules.dep")):
		t.modules = dirs[0]
		return nil
	case t.root == "/": // the guest would have links to themselves there
		return fmt.Errorf("the modules of %s have not been through depmod: run 'depmod %s'", t.release, t.release)
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, path)
			switch {
			case err != nil:
			case entry.IsDir() && (name == "build" || name == "source"):
				return fs.SkipDir
			case entry.IsDir():
			case strings.Contains(name, "/") || slices.Contains([]string{"modules.order", "modules.builtin", "modules.builtin.modinfo"}, name):
				t.links[name] = path
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readDir reads a directory; one that is not there has nothing in it.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// withFile are the paths of the names in each of the directories.
func withFile(dirs []string, names ...string) (paths []string) {
	for _, dir := range dirs {
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}
