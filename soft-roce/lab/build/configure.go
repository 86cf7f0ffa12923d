package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// configure makes the smallest configuration that has what is asked for, and checks that it
// does.
func (p *plan) configure(ctx context.Context, k *kbuild) error {
	own, err := ours()
	if err != nil {
		return err
	}
	asked := dotconfig.Merge(own, p.config)
	if err := os.MkdirAll(k.place.out(), 0o755); err != nil {
		return err
	}
	if was, err := os.ReadFile(k.place.configured()); err == nil && string(was) == dotconfig.Render(asked) {
		return nil
	}
	if err := os.RemoveAll(k.place.configured()); err != nil {
		return err
	}
	fragment := filepath.Join(k.place.dir, "asked.config")
	if err := os.WriteFile(fragment, []byte(dotconfig.Render(asked)), 0o644); err != nil {
		return err
	}
	if err := k.run(ctx, "configure the kernel", "KCONFIG_ALLCONFIG="+fragment, "allnoconfig"); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(k.place.out(), ".config"))
	if err != nil {
		return err
	}
	have, err := parseConfig(".config", string(text))
	if err != nil {
		return err
	}
	got := dotconfig.Of(have)
	if err := checkBootable(got); err != nil {
		return err
	}
	if err := p.checkKept(ctx, k.place.tree(), asked, got); err != nil {
		return err
	}
	return os.WriteFile(k.place.configured(), []byte(dotconfig.Render(asked)), 0o644)
}

// checkKept refuses a configuration that has not what the user asked for. What the lab asks
// for beyond what is essential need not be there in every kernel.
func (p *plan) checkKept(ctx context.Context, tree string, asked []setting, got dotconfig.Known) error {
	lost := notKept(asked, got)
	if len(lost) == 0 {
		return nil
	}
	known, err := defined(ctx, tree, lost)
	if err != nil {
		return err
	}
	theirs := dotconfig.Of(p.config)
	var unknown, refused, missed []setting
	for _, s := range lost {
		_, own := theirs[s.Option]
		switch {
		case own && !known[s.Option]:
			unknown = append(unknown, s)
		case own:
			refused = append(refused, s)
		case known[s.Option]:
			missed = append(missed, s)
		}
	}
	if len(unknown) > 0 {
		return host.Usagef("--config %s: this kernel has no option %s; take it out", strings.Join(p.Config, ","), optionNames(unknown))
	}
	if len(refused) > 0 {
		return host.Usagef("--config %s: the configuration does not keep %s: options that they depend on are off, or others select them; add what they depend on ('depends on' in the kernel's Kconfig files)",
			strings.Join(p.Config, ","), optionNames(refused))
	}
	if len(missed) > 0 {
		p.Log.Warnf("the configuration does not keep %s, which the lab asks for; scenarios that need it will say so", optionNames(missed))
	}
	return nil
}
