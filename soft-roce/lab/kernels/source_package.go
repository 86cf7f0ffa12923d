package kernels

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"pault.ag/go/debian/version"

	"umemstress/soft-roce/lab/internal/host"
)

// SourcePackage is a kernel's source as Debian packs it, in files that apt verified.
type SourcePackage struct {
	Name    string // such as linux or linux-6.12
	Version string // such as 5.10.262-1
	Dsc     string // path of its description, with the files that it names beside it
}

func (p SourcePackage) String() string { return p.Name + " " + p.Version }

// packedSourceBytes is ample for the files of a kernel's source package.
const packedSourceBytes = 250 << 20

// maxSourceTries is how many versions are asked for when a mirror lists what it does not have.
const maxSourceTries = 16

// CheckSource says of a name whether a source package may have its kernel: a series of Debian's
// kernels, or an upstream or package version.
func CheckSource(name string) error {
	if named, ok := seriesNamed(name); ok && named.archive != "" {
		return host.Usagef("--source %s: its sources are in no package; it is %s without a fix: --source 5.10 --without-fix cc5095747edf", name, strings.TrimSuffix(name, "-unfixed"))
	}
	if _, err := suitesFor(name); err != nil || strings.HasSuffix(name, "-amd64") {
		return host.Usagef("--source %q: give the directory of a kernel's source, a series (5.10, 6.1, 6.12, trixie, sid) or a version such as 5.10.262", name)
	}
	return nil
}

// FetchSource downloads the newest source package of the kernel called name into dir, unless
// it is the one that the caller has.
func (s *Store) FetchSource(ctx context.Context, name, dir string, have SourcePackage) (SourcePackage, error) {
	if err := CheckSource(name); err != nil {
		return SourcePackage{}, err
	}
	suites, err := suitesFor(name)
	if err != nil {
		return SourcePackage{}, err
	}
	if named, ok := seriesNamed(name); ok {
		suites = slices.Concat(suites, named.others)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return SourcePackage{}, err
	}
	defer unlock()
	s.log().Infof("looking for the source of kernel %s in %s", name, strings.Join(suites, ", "))
	shown, err := s.sources.ask(ctx, suites, sourceQuestion()...)
	if err != nil {
		return SourcePackage{}, cacheError(s.Dir, err)
	}
	all := sourcesOf(shown)
	found := slices.DeleteFunc(slices.Clone(all), func(p SourcePackage) bool { return !p.has(name) })
	if len(found) == 0 {
		return SourcePackage{}, host.Usagef("--source %s: there is no such source package in %s, which have %s", name, strings.Join(suites, ", "), newestSources(all))
	}
	if err := wantRoom(dir, packedSourceBytes, "the source package"); err != nil {
		return SourcePackage{}, err
	}
	for i, p := range found {
		if p == have {
			return have, nil
		}
		s.log().Infof("fetching the source package %s", p)
		_, err = s.sources.get(ctx, dir, "source", "--download-only", p.Name+"="+p.Version)
		if err == nil {
			p.Dsc, err = dscIn(dir, p)
			return p, err
		}
		// A mirror in the middle of an update lists what it does not have yet. apt tells this
		// from other failures in words alone.
		var failed *host.ToolError
		if !errors.As(err, &failed) || errors.Is(err, unix.ENOSPC) || !strings.Contains(failed.Said, " 404 ") || i+1 == min(len(found), maxSourceTries) {
			break
		}
		s.log().Warnf("the mirror lists %s and does not have it; taking %s", p, found[i+1].Version)
	}
	if errors.As(err, new(*host.ToolError)) && !errors.Is(err, unix.ENOSPC) {
		err = host.Lacksf("fetch the source of kernel %s: %w; is the mirror of this machine's apt to be reached? A directory needs none: --source DIR", name, err)
	}
	return SourcePackage{}, cacheError(s.Dir, err)
}

func sourceQuestion() []string {
	question := []string{"showsrc", "--only-source", "linux"}
	for _, s := range knownSeries {
		if s.archive == "" && s.line != "" {
			question = append(question, "linux-"+s.name) // a newer kernel in an older suite
		}
	}
	return question
}

// sourcesOf reads the source packages out of what apt-cache shows, the newest first.
func sourcesOf(shown string) []SourcePackage {
	var found []SourcePackage
	for paragraph := range strings.SplitSeq(shown, "\n\n") {
		fields := controlFields(paragraph)
		p := SourcePackage{Name: fields["Package"], Version: fields["Version"]}
		if pathWord.MatchString(p.Name) && pathWord.MatchString(p.Version) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b SourcePackage) int {
		va, errA := version.Parse(a.Version)
		vb, errB := version.Parse(b.Version)
		if errA != nil || errB != nil {
			return strings.Compare(b.Version, a.Version)
		}
		return version.Compare(vb, va)
	})
	return found
}

// has tells whether the package is of the kernel called name.
func (p SourcePackage) has(name string) bool {
	upstream, _, _ := strings.Cut(p.Version, "-")
	if s, ok := seriesNamed(name); ok {
		return strings.HasPrefix(p.Version, s.line) && (s.line != "" || p.Name == "linux")
	}
	return name == p.Version || name == upstream
}

func newestSources(all []SourcePackage) string {
	if len(all) == 0 {
		return "none"
	}
	var names []string
	for _, p := range all[:min(len(all), maxOffered)] {
		names = append(names, p.Version)
	}
	return strings.Join(names, ", ")
}

// dscIn finds the description of the package among its files.
func dscIn(dir string, p SourcePackage) (string, error) {
	_, unepoched, ok := strings.Cut(p.Version, ":")
	if !ok {
		unepoched = p.Version
	}
	found, err := filepath.Glob(filepath.Join(dir, p.Name+"_"+unepoched+".dsc"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("apt-get left no %s_%s.dsc in %s", p.Name, unepoched, dir)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}
