package kernels

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSourcesList(t *testing.T) {
	const targets = `Debian bookworm http://mirror.example/debian/
Debian bookworm-updates http://mirror.example/debian/
Debian bookworm-security http://security.example/debian-security/
Vendor stable http://vendor.example/apt/
`
	got, err := sourcesList("deb", targets, []string{"bullseye", "bullseye-security"})
	want := "deb [signed-by=" + keyring + "] http://mirror.example/debian/ bullseye main\n" +
		"deb [signed-by=" + keyring + "] http://security.example/debian-security/ bullseye-security main\n"
	if err != nil || got != want {
		t.Errorf("sourcesList = %q, %v; want %q", got, err, want)
	}

	// Without a mirror of security updates the archive alone has to do.
	got, err = sourcesList("deb", "Debian bookworm http://mirror.example/debian/\n", []string{"bookworm", "bookworm-security"})
	if err != nil || strings.Count(got, "\n") != 1 || !strings.Contains(got, " bookworm main") {
		t.Errorf("sourcesList without security = %q, %v", got, err)
	}

	_, err = sourcesList("deb", "Ubuntu jammy http://mirror.example/ubuntu/\n", []string{"sid"})
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() {
		t.Errorf("sourcesList on another distribution: %v, want the host's lack", err)
	}
}

func TestParts(t *testing.T) {
	stock := stockKernel{"7.2.13+deb14-amd64", "7.2.13-1"}
	depends := "dracut | initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, linux-base (>= 4.3~), " +
		"linux-base-7.2.13+deb14-amd64 (= 7.2.13-1), linux-binary-7.2.13+deb14-amd64 (= 7.2.13-1), " +
		"linux-modules-7.2.13+deb14-amd64 (= 7.2.13-1)"
	got := parts(depends, stock)
	want := []string{
		"linux-base-7.2.13+deb14-amd64=7.2.13-1",
		"linux-binary-7.2.13+deb14-amd64=7.2.13-1",
		"linux-modules-7.2.13+deb14-amd64=7.2.13-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("parts = %q, want %q", got, want)
	}
	if got := parts("kmod, initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool", stock); len(got) != 0 {
		t.Errorf("parts of a whole package = %q", got)
	}
}

func TestControlFields(t *testing.T) {
	fields := controlFields("Package: a\nVersion: 1:2-3\nDescription: x\n Version: in the text\n")
	if fields["Package"] != "a" || fields["Version"] != "1:2-3" {
		t.Errorf("fields = %q", fields)
	}
}
