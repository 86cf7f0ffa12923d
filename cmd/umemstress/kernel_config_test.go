//go:build !guest

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/kernels"
)

// byDefault are options that every kernel has but one that is made to do without (CONFIG_EXPERT).
var byDefault = map[string]bool{"CONFIG_ADVISE_SYSCALLS": true}

// What a run says that the kernel lacks for it, the lab's own kernels have: 'lab config' prints it and
// 'lab build' builds with it.
func TestKernelConfigHasWhatRunsNeed(t *testing.T) {
	option := regexp.MustCompile(`\bCONFIG_[A-Z0-9_]+\b`)
	found := 0
	err := filepath.WalkDir("../../workload", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range option.FindAllString(string(text), -1) {
			found++
			if !byDefault[name] && !regexp.MustCompile(`(?m)^`+name+`=[ym]$`).MatchString(kernels.Fragment) {
				t.Errorf("%s: a run can lack %s, and kernel.config of package kernels does not have it", path, name)
			}
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Errorf("%d options are named, %v", found, err)
	}
}
