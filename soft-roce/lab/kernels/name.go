package kernels

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pault.ag/go/debian/version"

	"umemstress/soft-roce/lab/internal/host"
)

// series is a name for a line of kernels, of which the newest is meant.
type series struct {
	name   string
	line   string   // what a release begins with; empty: any
	suites []string // of Debian, searched for the newest
	others []string // that have further versions of the line
	like   string   // the series whose source it has, but for a fix or for who packed it

	// Of a series that has no packages:
	archive string // pattern of its file
	recipe  Recipe // what it is built from where there is no such file
}

// knownSeries are the kernels that the lab is for, oldest first. A suite's own kernel line is
// older than the suite's last point release, hence the security suites.
var knownSeries = []series{
	{name: "5.10", line: "5.10.", suites: []string{"bullseye", "bullseye-security"}},
	{name: "6.1", line: "6.1.", suites: []string{"bookworm", "bookworm-security"}},
	{name: "6.12", line: "6.12.", suites: []string{"bookworm", "bookworm-security"}, others: []string{"trixie", "trixie-security"}},
	{name: "trixie", suites: []string{"trixie", "trixie-security"}, like: "6.12"},
	{name: "sid", suites: []string{"sid"}},
	// 5.10.262 without its backport of cc5095747edf: with the BUG_ON that no kernel has any
	// more which can be fetched.
	{name: "5.10-unfixed", archive: "linux-5.10.*-unfixed.tar.xz", like: "5.10", recipe: Recipe{Source: "5.10", Without: []string{"cc5095747edf"}}},
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

// imagePackage matches the packages of kernels, not those of debug symbols, and not
// metapackages like linux-image-6.1-amd64.
var imagePackage = regexp.MustCompile(`^linux-image-(\d+\.\d+\.[0-9][0-9a-z.+~-]*-amd64)$`)

func releaseOfPackage(pkg string) (string, bool) {
	m := imagePackage.FindStringSubmatch(pkg)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// isFlavour tells whether the kernel is one of those that are meant only by their own name:
// rt and cloud.
func (k stockKernel) isFlavour() bool {
	return strings.Contains(k.Release, "-rt-") || strings.Contains(k.Release, "-cloud-")
}

// upstream is the version without Debian's revision.
func (k stockKernel) upstream() string {
	up, _, _ := strings.Cut(k.Version, "-")
	return up
}

// is tells whether the kernel is of the line, or is the very kernel, that
// is called name.
func (k stockKernel) is(name string) bool {
	if name == k.Release || name == strings.TrimSuffix(k.Release, "-amd64") {
		return true
	}
	if k.isFlavour() {
		return false
	}
	if s, ok := seriesNamed(name); ok {
		// Not one of one's own that happens to be of the line.
		return s.archive == "" && strings.HasPrefix(k.Release, s.line) && strings.HasSuffix(k.Release, "-amd64")
	}
	return name == k.Version || name == k.upstream()
}

func seriesNamed(name string) (series, bool) {
	for _, s := range knownSeries {
		if s.name == name {
			return s, true
		}
	}
	return series{}, false
}

// Like names the series whose source the one that is called name has, but for a fix or for
// who packed it; empty: there is none.
func Like(name string) string {
	s, _ := seriesNamed(name)
	return s.like
}

// Neighbours names the series before and after the one that is called name, of those that are like no other;
// empty, both: it is the first, the last or none of them.
func Neighbours(name string) (older, newer string) {
	var own []string
	for _, s := range knownSeries {
		if s.like == "" {
			own = append(own, s.name)
		}
	}
	at := slices.Index(own, name)
	if at <= 0 || at == len(own)-1 {
		return "", ""
	}
	return own[at-1], own[at+1]
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
		also := ""
		if strings.Contains(name, "/") {
			also = ", and there is no such directory"
		}
		return nil, host.Usagef("no kernel is called %q%s: choose %s, a version such as 5.10.0-30-amd64, 6.1.0-56-rt-amd64 or 5.10.218, "+
			"package files ending in .deb, an archive of 'make tarxz-pkg', a directory that has a kernel, or an image with --modules", name, also, strings.Join(names, ", "))
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
func newest(found []stockKernel) (stockKernel, bool) {
	if len(found) == 0 {
		return stockKernel{}, false
	}
	return slices.MaxFunc(found, compareVersions), true
}

// compareVersions orders kernels as dpkg does. What is no version, and thus of no package,
// is the oldest.
func compareVersions(a, b stockKernel) int {
	va, errA := version.Parse(a.Version)
	vb, errB := version.Parse(b.Version)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	}
	return version.Compare(va, vb)
}

// maxOffered is how many kernels an error names.
const maxOffered = 8

// offered names the newest of the kernels that there are in place of name, those of its
// line if there are some, and flavours in place of a flavour.
func offered(found []stockKernel, name string) string {
	line := name
	if parts := strings.SplitN(name, ".", 3); len(parts) == 3 {
		line = parts[0] + "." + parts[1] + "."
	}
	if same := slices.DeleteFunc(slices.Clone(found), func(k stockKernel) bool { return !strings.HasPrefix(k.Release, line) }); len(same) > 0 {
		found = same
	}
	flavoured := stockKernel{Release: name + "-"}.isFlavour()
	found = slices.DeleteFunc(slices.Clone(found), func(k stockKernel) bool { return k.isFlavour() != flavoured })
	slices.SortStableFunc(found, func(a, b stockKernel) int { return compareVersions(b, a) })
	var names []string
	for _, k := range found[:min(len(found), maxOffered)] {
		names = append(names, k.Release+" ("+k.Version+")")
	}
	if more := len(found) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d older ones", more))
	}
	return strings.Join(names, ", ")
}
