package kernels

import (
	"path/filepath"
	"strings"
)

// Entry is a name that Find takes.
type Entry struct {
	Name    string   `json:"name"`
	Release string   `json:"release,omitempty"` // what it stands for; empty: not in the store
	Version string   `json:"version,omitempty"` // of the package
	Suites  []string `json:"suites,omitempty"`  // of Debian, where it is looked for
	Built   *Built   `json:"built,omitempty"`   // how it was built; nil: it was fetched, or is from a file
}

// List returns the known series, and then what else is in the store.
func (s *Store) List() ([]Entry, error) {
	var entries []Entry
	listed := map[string]bool{}
	for _, known := range knownSeries {
		entry := Entry{Name: known.name, Suites: known.suites}
		k, err := s.Cached(known.name)
		if err != nil {
			return nil, err
		}
		if k.Release != "" {
			stock, err := readStock(k.dir())
			if err != nil {
				return nil, err
			}
			entry.Release, entry.Version = stock.Release, stock.Version
			listed[k.dir()] = true
		}
		entries = append(entries, entry)
	}
	paths, err := filepath.Glob(filepath.Join(s.Dir, "*", kernelFile))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		dir := filepath.Dir(path)
		if listed[dir] || strings.HasPrefix(filepath.Base(dir), ".") {
			continue
		}
		stock, err := readStock(dir)
		if err != nil {
			return nil, err
		}
		entry := Entry{Name: stock.Release, Release: stock.Release, Version: stock.Version}
		if entry.Built, err = readBuilt(dir); err != nil {
			return nil, err
		}
		if entry.Built != nil {
			entry.Name = entry.Built.Name
		}
		entries = append(entries, entry)
	}
	return entries, nil
}
