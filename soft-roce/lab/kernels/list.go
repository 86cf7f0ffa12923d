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
		entries = append(entries, Entry{Name: stock.Release, Release: stock.Release, Version: stock.Version})
	}
	return entries, nil
}
