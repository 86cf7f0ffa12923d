package kernels

import (
	"io"
	"os"
	"path/filepath"

	"umemstress/soft-roce/lab/internal/host"
)

// Kernel is a kernel to boot and its modules.
type Kernel struct {
	Release string // as uname -r tells it
	Image   string // path of a bzImage, or of an ELF image with a PVH entry
	Modules string // path of lib/modules/RELEASE, which has been through depmod

	BootModules string // path of the prepared archive; empty: made when needed
}

// CopyBootModules writes the archive of the modules that the guest boots with.
func (k *Kernel) CopyBootModules(w io.Writer) error {
	if k.BootModules == "" {
		return writeBootModules(w, k.Modules)
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
// named after its release as modules_install does it.
func Custom(image, modules string) (Kernel, error) {
	for _, path := range []string{image, modules} {
		if _, err := os.Stat(path); err != nil {
			return Kernel{}, host.Usagef("kernel: %v", err)
		}
	}
	image, err := filepath.Abs(image)
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
		return Kernel{}, host.Usagef("modules: %s is not called …/lib/modules/RELEASE", modules)
	}
	if _, err := os.Stat(filepath.Join(modules, "modules.dep")); err != nil {
		return Kernel{}, host.Usagef("modules: %s has no modules.dep: run 'depmod -b %s %s'",
			modules, filepath.Join(modules, "../../.."), release)
	}
	return Kernel{Release: release, Image: image, Modules: modules}, nil
}

// IsStock tells whether the kernel is one of a store, and not of one's own.
func (k *Kernel) IsStock() bool { return k.BootModules != "" }

// dir is the kernel's directory in the store.
func (k *Kernel) dir() string { return filepath.Dir(k.BootModules) }
