package remedy

import (
	"fmt"
	"regexp"
	"strconv"
)

// Kernel is of which version a kernel is, as far as its own words tell.
type Kernel struct {
	Release string // as uname -r tells it
	Version string // as uname -v tells it

	upstream [3]int // the version that it is built from; zero: not known
	patch    bool   // the third number is that of a stable release
	vendor   string // of a kernel that carries fixes of its own under an old number
	abi      int    // of Debian's, where nothing tells more
}

var (
	threeNumbers = regexp.MustCompile(`^([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,5}))?`)
	debianBuild  = regexp.MustCompile(`Debian ([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,5})-`)
	debianABI    = regexp.MustCompile(`^[0-9]+\.[0-9]+\.0-([0-9]{1,4})(?:-[a-z0-9]+)*-(?:amd64|arm64|686|ppc64el|s390x)(?:-|$)`)
)

// vendors number their kernels by where they began, and carry fixes of their own.
var vendors = []struct {
	name string
	is   *regexp.Regexp
}{
	{"Red Hat's or one made from it", regexp.MustCompile(`\.el[0-9]`)},
	{"Ubuntu's", regexp.MustCompile(`^[0-9.]+-[0-9]+-(?:generic|lowlatency|aws|azure|gcp|oracle|kvm|nvidia)`)},
	{"SUSE's", regexp.MustCompile(`-(?:default|preempt|azure)$`)},
	{"Oracle's", regexp.MustCompile(`\.el[0-9]+uek|uek\.`)},
}

// ParseKernel reads what a kernel says of itself: release and version as uname has them, or as
// stand in an oops.
func ParseKernel(release, version string) Kernel {
	k := Kernel{Release: release, Version: version}
	if m := debianBuild.FindStringSubmatch(version); m != nil {
		k.upstream, k.patch = numbers(m[1]), true
		return k
	}
	k.upstream, k.patch = numbers(release), true
	for _, v := range vendors {
		if v.is.MatchString(release) {
			k.vendor, k.patch = v.name, false
		}
	}
	if m := debianABI.FindStringSubmatch(release); m != nil {
		k.abi, _ = strconv.Atoi(m[1])
		k.patch = false
	}
	return k
}

// numbers are those that a version begins with.
func numbers(version string) (n [3]int) {
	for i, digits := range threeNumbers.FindStringSubmatch(version) {
		if i > 0 {
			n[i-1], _ = strconv.Atoi(digits) // of few digits by the expression
		}
	}
	return n
}

// known says whether anything is.
func (k Kernel) known() bool { return k.upstream != [3]int{} }

// branch is the line of stable releases that it belongs to, such as 5.10.
func (k Kernel) branch() string { return fmt.Sprintf("%d.%d", k.upstream[0], k.upstream[1]) }

// Is says whether it is of that very stable release.
func (k Kernel) Is(version string) bool {
	return k.patch && k.known() && k.upstream == numbers(version)
}

// atLeast says whether the version that it is built from is not older.
func (k Kernel) atLeast(version string) bool { return compare(k.upstream, numbers(version)) >= 0 }

func compare(a, b [3]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}
