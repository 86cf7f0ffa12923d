package kernels

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// series is a name for a line of kernels, of which the newest is meant.
type series struct {
	name   string
	line   string   // what a release begins with; empty: any
	suites []string // of Debian, searched for the newest
	others []string // that have further versions of the line
}

// knownSeries are the kernels that the lab is for. A suite's own kernel line is
// older than the suite's last point release, hence the security suites.
var knownSeries = []series{
	{name: "5.10", line: "5.10.", suites: []string{"bullseye", "bullseye-security"}},
	{name: "6.1", line: "6.1.", suites: []string{"bookworm", "bookworm-security"}},
	{name: "6.12", line: "6.12.", suites: []string{"bookworm", "bookworm-security"}, others: []string{"trixie", "trixie-security"}},
	{name: "trixie", suites: []string{"trixie", "trixie-security"}},
	{name: "sid", suites: []string{"sid"}},
}

// stockKernel is a kernel as Debian packs it.
type stockKernel struct {
	Release string // as uname -r tells it, such as 5.10.0-30-amd64
	Version string // of the package, such as 5.10.218-1
}

// check refuses what would be no name of a directory. The words come from a package's
// control file, or from a file in the store.
func (k stockKernel) check() error {
	if !pathWord.MatchString(k.Release) {
		return fmt.Errorf("%q is no release of a kernel", k.Release)
	}
	if !pathWord.MatchString(k.Version) {
		return fmt.Errorf("%q is no version of a package", k.Version)
	}
	return nil
}

var pathWord = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~:_-]*$`)

// imagePackage matches the packages of stock kernels, not those of their rt and
// cloud flavours, of debug symbols, and not metapackages like linux-image-6.1-amd64.
var imagePackage = regexp.MustCompile(`^linux-image-(\d+\.\d+\.[0-9][0-9a-z.+~-]*-amd64)$`)

func releaseOfPackage(pkg string) (string, bool) {
	m := imagePackage.FindStringSubmatch(pkg)
	if m == nil || strings.Contains(m[1], "-rt-") || strings.Contains(m[1], "-cloud-") {
		return "", false
	}
	return m[1], true
}

// upstream is the version without Debian's revision.
func (k stockKernel) upstream() string {
	up, _, _ := strings.Cut(k.Version, "-")
	return up
}

// is tells whether the kernel is of the line, or is the very kernel, that
// is called name.
func (k stockKernel) is(name string) bool {
	if s, ok := seriesNamed(name); ok {
		return strings.HasPrefix(k.Release, s.line)
	}
	switch name {
	case k.Release, strings.TrimSuffix(k.Release, "-amd64"), k.Version, k.upstream():
		return true
	}
	return false
}

func seriesNamed(name string) (series, bool) {
	for _, s := range knownSeries {
		if s.name == name {
			return s, true
		}
	}
	return series{}, false
}

var versionLike = regexp.MustCompile(`^\d+\.\d+[0-9a-z.+~-]*$`)

// suitesFor lists where a kernel called name is looked for on a mirror.
func suitesFor(name string) ([]string, error) {
	if s, ok := seriesNamed(name); ok {
		return s.suites, nil
	}
	if !versionLike.MatchString(name) {
		var names []string
		for _, s := range knownSeries {
			names = append(names, s.name)
		}
		return nil, host.Usagef("no kernel is called %q: choose %s, a version such as 5.10.0-30-amd64 or 5.10.218, "+
			"a package file ending in .deb, or an image with --modules", name, strings.Join(names, ", "))
	}
	for _, s := range knownSeries {
		if s.line != "" && strings.HasPrefix(name, s.line) {
			return slices.Concat(s.suites, s.others), nil
		}
	}
	return []string{"sid"}, nil
}

// newest returns the kernel with the greatest version in Debian's order, and none of
// none.
func newest(found []stockKernel) (stockKernel, bool, error) {
	if len(found) == 0 {
		return stockKernel{}, false, nil
	}
	best := found[0]
	for _, k := range found[1:] {
		if k.Version == best.Version {
			continue
		}
		newer, err := isNewer(k.Version, best.Version)
		if err != nil {
			return stockKernel{}, false, err
		}
		if newer {
			best = k
		}
	}
	return best, true, nil
}

// isNewer asks dpkg, which says no with exit code 1 and has others for failures.
func isNewer(version, than string) (bool, error) {
	dpkg, err := host.Dpkg.Find()
	if err != nil {
		return false, err
	}
	out, err := exec.Command(dpkg, "--compare-versions", version, "gt", than).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return false, nil
	}
	return false, fmt.Errorf("is version %s newer than %s: %w", version, than, host.Dpkg.Failed(err, out))
}
