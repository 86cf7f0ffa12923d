package kernels

import (
	"errors"
	"fmt"
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
		"linux-image-5.10.0-30-rt-amd64":         "5.10.0-30-rt-amd64",
		"linux-image-5.10.0-30-cloud-amd64":      "5.10.0-30-cloud-amd64",
		"linux-image-5.10.0-30-amd64-dbg":        "",
		"linux-image-5.10.0-30-amd64-unsigned":   "",
		"linux-headers-5.10.0-30-amd64":          "",
		"linux-image-6.12.117+deb12-cloud-amd64": "6.12.117+deb12-cloud-amd64",
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
	rt := stockKernel{"6.1.0-56-rt-amd64", "6.1.192-2"}
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
		{rt, "6.1.0-56-rt-amd64", true},
		{rt, "6.1.0-56-rt", true},
		{rt, "6.1", false}, // a flavour is meant by its own name alone
		{rt, "6.1.192", false},
		{rt, "sid", false},
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
	got, ok := newest(kernels)
	if want := "6.12.117+deb12-amd64"; !ok || got.Release != want {
		t.Errorf("newest = %v, want %s", got, want)
	}
	if _, ok := newest(nil); ok {
		t.Error("there is a newest of none")
	}
}

// Versions are in Debian's order, in which a tilde is before the end and what is no version
// before all.
func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "5.10.218-1", "5.10.218-1+b1", "6.1.9-1", "6.1.10-1~exp1", "6.1.10-1~exp2", "6.1.10-1", "6.12.1-1", "1:5.0-1"}
	for i, older := range ordered {
		for j, newer := range ordered {
			if got := compareVersions(stockKernel{Version: older}, stockKernel{Version: newer}); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%q and %q: %d", older, newer, got)
			}
		}
	}
}

func TestOffered(t *testing.T) {
	var found []stockKernel
	for i := range 12 {
		found = append(found, stockKernel{fmt.Sprintf("5.10.0-%d-amd64", i), fmt.Sprintf("5.10.%d-1", i)})
	}
	found = append(found, stockKernel{"6.1.0-1-amd64", "6.1.1-1"})
	got := offered(found, "5.10.999")
	if !strings.HasPrefix(got, "5.10.0-11-amd64 (5.10.11-1), 5.10.0-10-amd64 (5.10.10-1), ") || !strings.HasSuffix(got, ", and 4 older ones") || strings.Contains(got, "6.1") {
		t.Errorf("offered %s", got)
	}
	if got := offered(found[12:], "4.19.1"); got != "6.1.0-1-amd64 (6.1.1-1)" {
		t.Errorf("none of the line: offered %s", got)
	}
}

// Series are like known ones, which are like no other, and stand between those before and after them.
func TestSeriesAmongOthers(t *testing.T) {
	for _, s := range knownSeries {
		if of, known := seriesNamed(s.like); s.like != "" && (!known || of.like != "") {
			t.Errorf("%s is like %q", s.name, s.like)
		}
	}
	if got := Like("trixie"); got != "6.12" {
		t.Errorf("trixie is like %q", got)
	}
	for name, want := range map[string][2]string{"5.10": {}, "6.1": {"5.10", "6.12"}, "6.12": {"6.1", "sid"}, "sid": {}, "trixie": {}, "7.7": {}} {
		if older, newer := Neighbours(name); older != want[0] || newer != want[1] {
			t.Errorf("%s is between %q and %q", name, older, newer)
		}
	}
}
