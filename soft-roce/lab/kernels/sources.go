package kernels

import (
	"os"
	"path/filepath"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// Kept are the names that were resolved to a kernel of the store.
func (s *Store) Kept() []string {
	links, err := os.ReadDir(filepath.Join(s.Dir, byName))
	if err != nil {
		return nil // nothing was ever fetched
	}
	var names []string
	for _, link := range links {
		if !strings.HasPrefix(link.Name(), ".") {
			names = append(names, link.Name())
		}
	}
	return names
}

// Sources are where the store can get kernels from that it does not have.
func (s *Store) Sources() []string {
	has := func(t host.Tool) bool {
		_, err := t.Find()
		return err == nil
	}
	if !has(host.DpkgDeb) || !has(host.Depmod) { // nothing can be unpacked
		return nil
	}
	var found []string
	if s.PackageDir != "" {
		found = append(found, "package files in $"+PackageDirEnv)
	}
	_, unsigned := os.Stat(keyring)
	if has(host.AptGet) && unsigned == nil && hasSources("/etc/apt") {
		found = append(found, "the mirror of this machine's apt")
	}
	return found
}

// hasSources says whether apt is told where packages come from, in either of its formats.
func hasSources(etc string) bool {
	files := []string{filepath.Join(etc, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, _ := filepath.Glob(filepath.Join(etc, "sources.list.d", pattern)) // the pattern is right
		files = append(files, more...)
	}
	for _, path := range files {
		text, _ := os.ReadFile(path) // what cannot be read, apt cannot read either
		for line := range strings.Lines(string(text)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if word == "deb" || strings.EqualFold(word, "URIs:") {
				return true
			}
		}
	}
	return false
}
