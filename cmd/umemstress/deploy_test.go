package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	deployFiles = "../../docs/deploy"
	unitName    = "umemstress-observe.service"
)

// unitSettings are the values of a setting in each of its lines in the systemd unit.
func unitSettings(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployFiles, unitName))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			values = append(values, strings.TrimSpace(value))
		}
	}
	if len(values) == 0 {
		t.Fatalf("%s has no %s", unitName, name)
	}
	return values
}

// unitCapabilities are those that the unit leaves to the observer, without CAP_.
func unitCapabilities(t *testing.T) []string {
	t.Helper()
	all := strings.Fields(strings.Join(unitSettings(t, "CapabilityBoundingSet"), " "))
	for i, name := range all {
		all[i] = strings.TrimPrefix(name, "CAP_")
	}
	return all
}
