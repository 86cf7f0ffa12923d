package kernels

import (
	"errors"
	"testing"
)

// As apt-cache showsrc has it, cut short.
const shownSources = `Package: linux
Binary: linux-doc-5.10, linux-headers-5.10.0-30-common
Version: 5.10.218-1
Package-List:
 linux-doc deb kernel optional arch=all
Directory: pool/main/l/linux

Package: linux
Version: 5.10.99-1
Directory: pool/main/l/linux

Package: linux-6.12
Version: 6.12.117-1~deb12u1

Package: linux
Version: 6.12.117-1

Package: linux
Version: 6.1.192-2
`

func TestSourcesOf(t *testing.T) {
	all := sourcesOf(shownSources)
	for name, want := range map[string]string{
		"5.10":        "linux 5.10.218-1",
		"5.10.99":     "linux 5.10.99-1",
		"5.10.218-1":  "linux 5.10.218-1",
		"6.1":         "linux 6.1.192-2",
		"6.12":        "linux 6.12.117-1",
		"6.12.117-1":  "linux 6.12.117-1",
		"sid":         "linux 6.12.117-1", // the newest of the suite
		"5.10.218-2":  "",
		"linux":       "",
		"6.12.117-1~": "",
	} {
		got := ""
		for _, p := range all {
			if p.has(name) {
				got = p.String()
				break
			}
		}
		if got != want {
			t.Errorf("the newest source of %s is %q, want %q", name, got, want)
		}
	}
	if len(all) != 5 || newestSources(nil) != "none" {
		t.Errorf("%v", all)
	}
}

func TestCheckSource(t *testing.T) {
	for _, good := range []string{"5.10", "6.12", "sid", "5.10.262", "5.10.262-1"} {
		if err := CheckSource(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "latest", "5.10-unfixed", "5.10.0-30-amd64", "../linux", "-o"} {
		var usage interface{ Usage() bool }
		if err := CheckSource(bad); !errors.As(err, &usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
