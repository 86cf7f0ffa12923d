package build

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// versionLine is how the kernel's Makefile begins.
var versionLine = regexp.MustCompile(`^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)\s*=\s*(\S*)\s*$`)

// checkTree refuses a directory that is no source of a kernel for the lab's guests, and tells
// the version of one that is, such as 5.10.262 or 6.12.0-rc3.
func checkTree(dir string) (version string, err error) {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() {
		return "", host.Usagef("--source %s: there is no such directory", dir)
	}
	version, err = versionOf(filepath.Join(dir, "Makefile"))
	if err != nil || version == "" {
		return "", host.Usagef("--source %s: it is not the source of a Linux kernel: there is no Makefile with VERSION, PATCHLEVEL and SUBLEVEL", dir)
	}
	for _, part := range []string{"Kconfig", "scripts/kconfig", "mm", "fs", "kernel"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err != nil {
			return "", host.Usagef("--source %s: it is not the source of a Linux kernel, or not all of it: there is no %s", dir, part)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "arch/x86/Kconfig")); err != nil {
		others, _ := filepath.Glob(filepath.Join(dir, "arch/*/Kconfig")) // the pattern is right
		var names []string
		for _, path := range others {
			names = append(names, filepath.Base(filepath.Dir(path)))
		}
		return "", host.Usagef("--source %s: the lab's guests are x86-64, and this tree has no arch/x86 (but %s); give a tree with it", dir, strings.Join(names, ", "))
	}
	if arch := configuredFor(filepath.Join(dir, ".config")); arch != "" && arch != "x86" && arch != "x86_64" {
		return "", host.Usagef("--source %s: the tree is configured for %s, and the lab's guests are x86-64; give a tree for x86, or take %s/.config away: the lab has a configuration of its own", dir, arch, dir)
	}
	return version, nil
}

func versionOf(makefile string) (string, error) {
	f, err := os.Open(makefile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const lines = 30
	part := map[string]string{}
	in := bufio.NewScanner(f)
	for i := 0; i < lines && in.Scan(); i++ {
		if m := versionLine.FindStringSubmatch(in.Text()); m != nil {
			part[m[1]] = m[2]
		}
	}
	if part["VERSION"] == "" || part["PATCHLEVEL"] == "" || part["SUBLEVEL"] == "" {
		return "", nil
	}
	return fmt.Sprintf("%s.%s.%s%s", part["VERSION"], part["PATCHLEVEL"], part["SUBLEVEL"], part["EXTRAVERSION"]), nil
}

// configuredFor is the architecture of a .config; empty: there is none, or it does not say.
func configuredFor(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	_, arch, err := dotconfig.Parse(f, nil)
	if err != nil {
		return ""
	}
	return arch
}
