package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// install puts what was built into the store.
func (p *plan) install(ctx context.Context, store *kernels.Store, k *kbuild, src source) (Result, error) {
	raw, err := os.ReadFile(filepath.Join(k.place.out(), "include/config/kernel.release"))
	if err != nil {
		return Result{}, err
	}
	release := strings.TrimSpace(string(raw))
	built := p.built(ctx, src)
	kernel, err := store.Install(ctx, release, src.full, built, func(tree string) error {
		boot := filepath.Join(tree, "boot")
		if err := os.Mkdir(boot, 0o755); err != nil {
			return err
		}
		for from, to := range map[string]string{"arch/x86/boot/bzImage": "vmlinuz-", ".config": "config-"} {
			if err := copyFile(filepath.Join(k.place.out(), from), filepath.Join(boot, to+release), 0o644, time.Now()); err != nil {
				return err
			}
		}
		return k.run(ctx, "install the modules", "INSTALL_MOD_PATH="+tree, "INSTALL_MOD_STRIP=1", "modules_install")
	})
	if err != nil {
		return Result{}, fmt.Errorf("put kernel %s into the store: %w", p.Name, err)
	}
	return Result{Kernel: kernel, Built: built, Version: src.full}, nil
}

// built says how the kernel is built.
func (p *plan) built(ctx context.Context, src source) kernels.Built {
	built := kernels.Built{Name: p.Name, Source: src.label, Compiler: compiler(ctx)}
	for _, fix := range p.fixes {
		built.Without = append(built.Without, fix.Commit)
	}
	for _, path := range slices.Concat(p.Patches, p.Semantic) {
		built.Patches = append(built.Patches, filepath.Base(path))
	}
	for _, path := range p.Config {
		built.Config = append(built.Config, filepath.Base(path))
	}
	return built
}

// key tells one kernel from all others that could be built.
func (p *plan) key(ctx context.Context, src source, changes map[string]altered) (string, error) {
	own, err := ours()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q", []string{src.state, src.label, src.full, p.Name, p.local(), compiler(ctx), dotconfig.Render(dotconfig.Merge(own, p.config))})
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		a := changes[path]
		fmt.Fprintf(h, "%q %o %v %q", path, a.mode, a.gone, a.content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// asBuilt is the kernel that is in the store, if that is what would be built.
func (p *plan) asBuilt(ctx context.Context, store *kernels.Store, at *place, src source, key string) (Result, bool) {
	was, err := os.ReadFile(at.last(p.Name))
	if err != nil || string(was) != key {
		return Result{}, false
	}
	kernel, built, err := store.BuiltAs(p.Name)
	if err != nil || built == nil || !reflect.DeepEqual(*built, p.built(ctx, src)) {
		return Result{}, false
	}
	return Result{Kernel: kernel, Built: *built, Version: src.full}, true
}

// compiler is the first line of what gcc says of its version.
func compiler(ctx context.Context) string {
	out, err := host.GCC.Run(ctx, "--version")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
