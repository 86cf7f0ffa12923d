package kernels

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/image"
)

// Kernel is a kernel to boot and its modules.
type Kernel struct {
	Release string // as uname -r tells it
	Image   string // path of a bzImage, or of an ELF image with a PVH entry
	Modules string // path of lib/modules/RELEASE, which has been through depmod

	BootModules string // path of the prepared archive; empty: made when needed
	LinksTo     string // directory of the files that Modules has symbolic links to; empty: it has the files

	config string // path of its configuration, where there may be none
}

// CopyBootModules writes the archive of the modules that the guest boots with. What there is to say
// of a kernel of one's own goes to log; nil: logrus's own logger.
func (k *Kernel) CopyBootModules(w io.Writer, log logrus.FieldLogger) error {
	if k.BootModules == "" {
		c, err := readConfig(k.config)
		if err != nil {
			return err
		}
		return writeBootModules(w, k.Modules, c, host.Log(log))
	}
	f, err := os.Open(k.BootModules)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// Custom is a kernel of one's own: its image and its modules directory,
// named after its release as modules_install does it. What is done to it is told to log; nil:
// logrus's own logger.
func Custom(ctx context.Context, file, modules string, log logrus.FieldLogger) (Kernel, error) {
	if st, err := os.Stat(file); err != nil || st.IsDir() {
		return Kernel{}, host.Usagef("--kernel %s: with --modules it is the file of a kernel's image, and there is none of that name", file)
	}
	if !isDir(modules) {
		return Kernel{}, host.Usagef("--modules %s: there is no such directory", modules)
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return Kernel{}, err
	}
	if modules, err = filepath.EvalSymlinks(modules); err != nil {
		return Kernel{}, err
	}
	if modules, err = filepath.Abs(modules); err != nil {
		return Kernel{}, err
	}
	release := filepath.Base(modules)
	if parent := filepath.Dir(modules); filepath.Base(parent) != "modules" || filepath.Base(filepath.Dir(parent)) != "lib" {
		return Kernel{}, host.Usagef("--modules %s: it is not called …/lib/modules/RELEASE", modules)
	}
	of, err := image.Release(file)
	if err != nil {
		return Kernel{}, host.Usagef("--kernel %s: %v", file, err)
	}
	if of != "" && of != release {
		return Kernel{}, host.Usagef("--kernel %s is kernel %s, and --modules %s are those of %s; give the two of one kernel", file, of, modules, release)
	}
	if _, err := os.Stat(filepath.Join(modules, "modules.dep")); err != nil {
		base := filepath.Join(modules, "../../..")
		host.Log(log).Infof("lab: %s has no modules.dep; running depmod -b %s %s", modules, base, release)
		if _, err := host.Depmod.Run(ctx, "-b", base, release); err != nil {
			return Kernel{}, host.Usagef("--modules %s: it has no modules.dep, and 'depmod -b %s %s' failed: %v", modules, base, release, err)
		}
	}
	root := cmp.Or(strings.TrimSuffix(filepath.Join(modules, "../../.."), "/usr"), "/")
	return Kernel{Release: release, Image: file, Modules: modules, config: configBeside(root, release, modules)}, nil
}

// IsStock tells whether the kernel is one of a store, and not of one's own.
func (k *Kernel) IsStock() bool { return k.BootModules != "" }

// Dir is the directory of a kernel of the store.
func (k *Kernel) Dir() string { return k.dir() }

// dir is the kernel's directory in the store.
func (k *Kernel) dir() string { return filepath.Dir(k.BootModules) }
