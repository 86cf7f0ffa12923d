package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// change is a difference to the source, in diff's unified format with a/ and b/ before its
// paths.
type change struct {
	what string // for messages, such as "--patch a.patch"
	diff []byte
}

// pathsIn are the files that a diff is about, as patch -p1 takes them.
func pathsIn(diff []byte) []string {
	var paths []string
	add := func(path string) {
		path, _, _ = strings.Cut(path, "\t") // a time may follow
		path = strings.TrimSpace(path)
		if path != "/dev/null" && path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for line := range strings.Lines(string(diff)) {
		for _, before := range []string{"--- ", "+++ "} {
			if rest, ok := strings.CutPrefix(line, before); ok && !strings.HasPrefix(rest, "/dev/null") {
				if _, inTree, ok := strings.Cut(rest, "/"); ok {
					add(inTree)
				}
			}
		}
		for _, before := range []string{"rename from ", "rename to ", "copy from ", "copy to "} {
			if rest, ok := strings.CutPrefix(line, before); ok {
				add(rest)
			}
		}
	}
	return paths
}

// applyAll applies the changes one after the other to copies in stage of the files of base
// that they are about, and returns what became of these.
func applyAll(ctx context.Context, base, stage string, changes []change) (map[string]altered, error) {
	staged := map[string]bool{}
	for _, c := range changes {
		paths := pathsIn(c.diff)
		if len(paths) == 0 {
			return nil, host.Usagef("%s: it is no patch in diff's unified format (diff -u, git diff)", c.what)
		}
		for _, path := range paths {
			if !filepath.IsLocal(path) {
				return nil, host.Usagef("%s: it changes %s, which is not in the source", c.what, path)
			}
			if staged[path] {
				continue
			}
			staged[path] = true
			if err := stageFile(base, stage, path); err != nil {
				return nil, err
			}
		}
		if err := apply(ctx, stage, c); err != nil {
			return nil, err
		}
	}
	result := map[string]altered{}
	for path := range staged {
		st, err := os.Lstat(filepath.Join(stage, path))
		if errors.Is(err, fs.ErrNotExist) {
			result[path] = altered{gone: true}
			continue
		}
		if err == nil && !st.Mode().IsRegular() {
			err = host.Usagef("a patch changes %s, which is no regular file", path)
		}
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(filepath.Join(stage, path))
		if err != nil {
			return nil, err
		}
		result[path] = altered{content: text, mode: st.Mode().Perm()}
	}
	return result, nil
}

// stageFile copies a file of the base, if it is there.
func stageFile(base, stage, path string) error {
	st, err := os.Lstat(filepath.Join(base, path))
	if err != nil || !st.Mode().IsRegular() {
		return nil // what patch has to say of it
	}
	to := filepath.Join(stage, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyFile(filepath.Join(base, path), to, st.Mode().Perm(), st.ModTime())
}

// apply runs patch in the stage.
func apply(ctx context.Context, stage string, c change) error {
	call := host.Call{Dir: stage, In: strings.NewReader(string(c.diff))}
	out, err := host.Patch.RunAs(ctx, call, "-p1", "--forward", "--batch", "--no-backup-if-mismatch", "--reject-file=-")
	var failed *host.ToolError
	if !errors.As(err, &failed) || ctx.Err() != nil {
		return err
	}
	var complaints []string
	for line := range strings.Lines(string(out) + "\n" + failed.Said) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "patching file ") && !strings.HasPrefix(line, "checking file ") && !strings.HasPrefix(line, "|") && !strings.HasSuffix(line, "--") {
			complaints = append(complaints, line)
		}
	}
	const most = 3
	said := strings.Join(complaints[:min(len(complaints), most)], "; ")
	return host.Usagef("%s does not apply to this source in %s: %s; give a patch that was made for it, with paths one level deep (-p1)", c.what, strings.Join(short(pathsIn(c.diff)), ", "), said)
}

func short(names []string) []string {
	const most = 3
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most]), "…")
}
