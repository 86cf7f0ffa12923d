package build

import (
	"embed"
	"path"
	"regexp"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

//go:embed fixes/*.cocci
var fixFiles embed.FS

// Fix is one of the kernel's fixes that can be taken out.
type Fix struct {
	Commit string // of upstream's repository, its first 12 digits
	Effect string // what the kernel does without it, as half a sentence
	cocci  string // the semantic patch that takes it out
}

// Fixes are all that can be taken out. They tell of themselves in their first comment.
func Fixes() []Fix {
	entries, err := fixFiles.ReadDir("fixes")
	if err != nil {
		panic(err) // they are built in
	}
	var fixes []Fix
	for _, entry := range entries {
		text, err := fixFiles.ReadFile(path.Join("fixes", entry.Name()))
		if err != nil {
			panic(err)
		}
		fixes = append(fixes, Fix{strings.TrimSuffix(entry.Name(), ".cocci"), effectIn(string(text)), string(text)})
	}
	return fixes
}

// effectIn is the first sentence of the comment that a semantic patch begins with.
func effectIn(cocci string) string {
	var words []string
	for line := range strings.Lines(cocci) {
		comment, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		words = append(words, strings.Fields(comment)...)
	}
	first, _, _ := strings.Cut(strings.Join(words, " "), ". ")
	first = strings.TrimSuffix(first, ".")
	return strings.ToLower(first[:1]) + first[1:]
}

var commitID = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

// fixNamed finds a fix by its commit, abbreviated or in full.
func fixNamed(commit string) (Fix, error) {
	all := Fixes()
	at := slices.IndexFunc(all, func(f Fix) bool {
		return strings.HasPrefix(f.Commit, commit) || strings.HasPrefix(commit, f.Commit)
	})
	if !commitID.MatchString(commit) || at < 0 {
		var known []string
		for _, f := range all {
			known = append(known, f.Commit)
		}
		return Fix{}, host.Usagef("--without-fix %q: choose %s, or take another one out with --patch or --semantic-patch", commit, strings.Join(known, ", "))
	}
	return all[at], nil
}

var filesLine = regexp.MustCompile(`(?m)^//\s*files:(.*)$`)

// filesOf are the files that a semantic patch says it is for, in a comment "// files: PATH…";
// none: it may be for all of the tree.
func filesOf(cocci string) []string {
	var files []string
	for _, m := range filesLine.FindAllStringSubmatch(cocci, -1) {
		files = append(files, strings.Fields(m[1])...)
	}
	return files
}
