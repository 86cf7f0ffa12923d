package handover

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"
)

// unknown is the version of a program that was built without one.
const unknown = "devel"

// answerBound is how long a program may take to say which version it is.
const answerBound = 30 * time.Second

// staleError is of a program beside this one that is not of the same build.
type staleError struct{ text string }

func (e staleError) Error() string { return e.text }

// HostLacks is true: what is missing is the program of this build.
func (staleError) HostLacks() bool { return true }

// ofSameBuild refuses a program that was built from another commit, or as another version, than the one of which that is the build
// information and the version: an old one does something else than it is asked for, without a word. What one of them does not say
// passes. Go puts the commit into a program, unless it was told not to (-buildvcs=false); of the version the program itself is asked.
func ofSameBuild(path string, own *debug.BuildInfo, version string) error {
	other, err := buildinfo.ReadFile(path)
	if err != nil {
		return staleError{fmt.Sprintf("go on as %s: it does not say of which build it is (%v); put %s there that was built with this program (make build), or give --backend uverbs", path, err, Program)}
	}
	mine, theirs := commitOf(own), commitOf(other)
	if mine != "" && theirs != "" && mine != theirs {
		return newStaleError(path, "commit "+theirs, mine)
	}
	if theirs = versionOf(path); version != unknown && theirs != unknown && version != theirs {
		return newStaleError(path, "version "+theirs, version)
	}
	return nil
}

func newStaleError(path, theirs, mine string) error {
	return staleError{fmt.Sprintf("go on as %s: it is of another build, of %s, and this program of %s; build both (make build) or install both from one package, or remove it", path, theirs, mine)}
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

// versionOf is the version that a program says it is, as "umemstress version v1"; unknown: it does not. Who goes on as one that does
// not even start is told so then.
func versionOf(path string) string {
	ctx, cancel := context.WithTimeout(context.Background(), answerBound)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	_, version, says := strings.Cut(strings.TrimSpace(string(out)), " version ")
	if err != nil || !says {
		return unknown
	}
	return version
}
