package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReleaseOfPackage(t *testing.T) {
	for pkg, want := range map[string]string{
		"linux-image-5.10.0-30-amd64":            "5.10.0-30-amd64",
		"linux-image-6.12.117+deb12-amd64":       "6.12.117+deb12-amd64",
		"linux-image-7.2.13+deb14-amd64":         "7.2.13+deb14-amd64",
		"linux-image-6.1.0-0.deb11.48-amd64":     "6.1.0-0.deb11.48-amd64",
		"linux-image-amd64":                      "",
		"linux-image-6.1-amd64":                  "",
		"linux-image-6.12-amd64":                 "",
		"linux-image-5.10.0-30-rt-amd64":         "",
		"linux-image-5.10.0-30-cloud-amd64":      "",
		"linux-image-5.10.0-30-amd64-dbg":        "",
		"linux-image-5.10.0-30-amd64-unsigned":   "",
		"linux-headers-5.10.0-30-amd64":          "",
		"linux-image-6.12.117+deb12-cloud-amd64": "",
	} {
		got, ok := releaseOfPackage(pkg)
		if got != want || ok != (want != "") {
			t.Errorf("releaseOfPackage(%q) = %q, %v; want %q", pkg, got, ok, want)
		}
	}
}

func TestImageIs(t *testing.T) {
	bullseye := stockKernel{"5.10.0-30-amd64", "5.10.218-1"}
	bookworm := stockKernel{"6.1.0-56-amd64", "6.1.192-2"}
	newer := stockKernel{"6.12.117+deb12-amd64", "6.12.117-1~deb12u1"}
	for _, tt := range []struct {
		stock stockKernel
		name  string
		want  bool
	}{
		{bullseye, "5.10", true},
		{bullseye, "5.10.0-30-amd64", true},
		{bullseye, "5.10.0-30", true},
		{bullseye, "5.10.218", true},
		{bullseye, "5.10.218-1", true},
		{bullseye, "5.10.0-3", false},
		{bullseye, "5.10.2", false},
		{bookworm, "6.1", true},
		{newer, "6.1", false}, // 6.12 is no 6.1
		{newer, "6.12", true},
		{newer, "sid", true},
		{newer, "6.12.117", true},
	} {
		if got := tt.stock.is(tt.name); got != tt.want {
			t.Errorf("%v is %q: %v, want %v", tt.stock, tt.name, got, tt.want)
		}
	}
}

func TestSuitesFor(t *testing.T) {
	for name, want := range map[string][]string{
		"5.10":                 {"bullseye", "bullseye-security"},
		"5.10.218":             {"bullseye", "bullseye-security"},
		"6.1.0-56-amd64":       {"bookworm", "bookworm-security"},
		"6.12":                 {"bookworm", "bookworm-security"}, // trixie has a name of its own
		"6.12.117+deb13-amd64": {"bookworm", "bookworm-security", "trixie", "trixie-security"},
		"sid":                  {"sid"},
		"7.2.13":               {"sid"},
	} {
		got, err := suitesFor(name)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("suitesFor(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "latest", "bookworm", "../etc", "5", "5.10/x", "-o"} {
		_, err := suitesFor(name)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() {
			t.Errorf("suitesFor(%q) = %v, want a usage error", name, err)
		}
	}
}

func TestNewest(t *testing.T) {
	kernels := []stockKernel{
		{"6.12.94+deb13-amd64", "6.12.94-1"},
		{"6.12.117+deb12-amd64", "6.12.117-1~deb12u1"},
		{"6.12.107+deb13-amd64", "6.12.107-1"},
	}
	got, ok, err := newest(kernels)
	if want := "6.12.117+deb12-amd64"; !ok || got.Release != want || err != nil {
		t.Errorf("newest = %v, %v, want %s", got, err, want)
	}
	if _, ok, err := newest(nil); ok || err != nil {
		t.Errorf("there is a newest of none, or %v", err)
	}
	// Who cannot be asked has not said that the first is the newest.
	bin := t.TempDir()
	dpkg := filepath.Join(bin, "dpkg")
	if err := os.WriteFile(dpkg, []byte("#!/bin/sh\necho no such option\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if got, ok, err := newest(kernels); ok || err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("with a dpkg that fails: %v, %v", got, err)
	}
}
