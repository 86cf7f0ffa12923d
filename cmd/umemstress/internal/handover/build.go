package handover

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
)

// staleError is of a program beside this one that is not of the same build.
type staleError struct{ text string }

func (e staleError) Error() string { return e.text }

// HostLacks is true: what is missing is the program of this build.
func (staleError) HostLacks() bool { return true }

// ofSameBuild refuses a program that was built from another commit than the one of which that is the build information, or of which
// only one is as committed: an old one does something else than it is asked for, without a word. Programs that were built outside
// of a repository do not tell, and pass. What the program says itself is not asked: an old one would know of no question.
func ofSameBuild(path string, own *debug.BuildInfo) error {
	other, err := buildinfo.ReadFile(path)
	if err != nil {
		return staleError{fmt.Sprintf("go on as %s: it does not say of which build it is (%v); put %s there that was built with this program (make build), or give --backend uverbs", path, err, Program)}
	}
	mine, theirs := commitOf(own), commitOf(other)
	if mine == theirs || mine == "" || theirs == "" {
		return nil
	}
	return staleError{fmt.Sprintf("go on as %s: it is of another build, of commit %s, and this program of %s; build both (make build) or install both from one package, or remove it", path, theirs, mine)}
}

// commitOf is the commit that a program was built from, and whether its source was changed since; empty: it does not say.
func commitOf(of *debug.BuildInfo) string {
	var revision, modified string
	for _, s := range of.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value
		}
	}
	if revision != "" && cmp.Or(modified, "false") != "false" {
		revision += " with changes"
	}
	return revision
}
