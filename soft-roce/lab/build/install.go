package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
)

// install puts what was built into the store.
func (p *plan) install(ctx context.Context, store *kernels.Store, k *kbuild, src source) (Result, error) {
	raw, err := os.ReadFile(filepath.Join(k.place.out(), "include/config/kernel.release"))
	if err != nil {
		return Result{}, err
	}
	release := strings.TrimSpace(string(raw))
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

// compiler is the first line of what gcc says of its version.
func compiler(ctx context.Context) string {
	out, err := host.GCC.Run(ctx, "--version")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
