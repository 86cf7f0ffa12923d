package build

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var configLine = regexp.MustCompile(`(?m)^\s*(?:menu)?config\s+([0-9A-Za-z_]+)`)

// defined says which of the options the tree's Kconfig files define, for whatever
// architecture.
func defined(ctx context.Context, tree string, options []setting) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, s := range options {
		wanted[s.Option] = true
	}
	found := map[string]bool{}
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return firstOf(ctx.Err(), err)
		}
		if entry.IsDir() || !strings.HasPrefix(entry.Name(), "Kconfig") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range configLine.FindAllSubmatch(text, -1) {
			if option := "CONFIG_" + string(m[1]); wanted[option] {
				found[option] = true
			}
		}
		return nil
	})
	return found, err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
