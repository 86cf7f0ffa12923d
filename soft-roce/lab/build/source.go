package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
)

// source is a kernel's source before it is changed.
type source struct {
	dir     string
	files   []string // relative
	link    bool     // the directory is the cache's own
	version string   // of the kernel, such as 5.10.262
	label   string   // what Built says of it
	full    string   // the version that the store knows it by, such as 5.10.262-1
	state   string   // tells one content from another
}

// isDirectory tells whether a source is named by its directory: a name with a slash in it, or
// of a directory that is here.
func isDirectory(name string) bool {
	if strings.ContainsRune(name, filepath.Separator) || name == "." || name == ".." {
		return true
	}
	return kernels.CheckSource(name) != nil && isDir(name)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// git runs git in a directory of whoever's, and trusts nothing that its configuration says to
// run.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := host.Git.Run(ctx, append([]string{"-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", dir}, args...)...)
	return string(out), err
}

// hasGit tells whether a directory is a git work tree's own.
func hasGit(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".git"))
	return err == nil
}

// ownSource is the source in a directory of the user's: what git tracks there, or all that no
// build has made.
func ownSource(ctx context.Context, dir string, dirty bool) (source, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return source{}, host.Usagef("--source %s: %v", dir, err)
	}
	version, err := checkTree(abs)
	if err != nil {
		return source{}, err
	}
	s := source{dir: abs, version: version, label: abs, full: version}
	if hasGit(abs) {
		err = s.tracked(ctx, dir, dirty)
	} else {
		s.files, err = filesBelow(ctx, abs, made...)
	}
	if err != nil {
		return source{}, err
	}
	s.state, err = stateOf(abs, s.files)
	return s, err
}

// tracked lists what git tracks in a directory, and with dirty also what it would track.
func (s *source) tracked(ctx context.Context, named string, dirty bool) error {
	commit, err := git(ctx, s.dir, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return host.Usagef("--source %s: its commit cannot be told: %v", named, err)
	}
	commit = strings.TrimSpace(commit)
	modified, err := git(ctx, s.dir, "status", "--porcelain", "--untracked-files=no", "--", ".")
	if err != nil {
		return err
	}
	list := []string{"ls-files", "-z"}
	if modified != "" {
		if !dirty {
			return host.Usagef("--source %s: it has uncommitted changes, of %s; commit or stash them, or build them as they are with --allow-dirty", named, dirtyFiles(modified))
		}
		list = append(list, "--cached", "--others", "--exclude-standard")
		commit += "-dirty"
	}
	s.label += " (" + commit + ")"
	s.full += "+g" + commit
	out, err := git(ctx, s.dir, list...)
	if err != nil {
		return err
	}
	for file := range strings.SplitSeq(out, "\x00") {
		if filepath.IsLocal(file) {
			s.files = append(s.files, file)
		}
	}
	return nil
}

// made are what builds leave in the tree of a kernel that is in no repository, and what is of
// no use to ours: patterns of names, and of paths where they have a slash.
var made = []string{
	"*.o", "*.ko", "*.a", "*.so", "*.so.dbg", ".*.cmd", ".*.d", "*.mod", "*.mod.c", "modules.order", "modules.builtin*", "Module.symvers",
	".config", ".config.old", ".version", "vmlinux", "vmlinux.o", "vmlinux.map", "vmlinux.symvers", "vmlinux.unstripped", ".tmp_*", ".vmlinux*", "System.map", "*.lex.c", "*.tab.[ch]", "*.asn1.[ch]",
	"bzImage", "vmlinux.bin*", "include/config", "include/generated", "arch/*/include/generated", "./debian", "./.pc", ".git",
}

// dirtyFiles names what git status --porcelain lists.
func dirtyFiles(status string) string {
	var files []string
	for line := range strings.Lines(status) {
		if len(line) > 3 {
			files = append(files, strings.TrimSpace(line[3:]))
		}
	}
	return strings.Join(short(files), ", ")
}

// stateOf is of the files' sizes and times.
func stateOf(dir string, files []string) (string, error) {
	h := sha256.New()
	for _, file := range files {
		if st, err := os.Lstat(filepath.Join(dir, file)); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", file, st.Size(), st.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unpacked is what is kept of a source package beside its files.
const unpacked = "package.json"

// unpackedBytes is ample for a kernel's source.
const unpackedBytes = 2 << 30

// debianSource is the source of one of Debian's packages, from the cache unless a fresh one is
// asked for.
func (o *Options) debianSource(ctx context.Context, store *kernels.Store, dir string) (source, error) {
	known := filepath.Join(dir, "source")
	p, err := readPackage(known)
	if err == nil && (o.Fresh || p.Version == "") {
		p, err = o.fetch(ctx, store, dir, known, p)
	}
	if err != nil {
		return source{}, err
	}
	tree := filepath.Join(known, "tree")
	version, err := checkTree(tree)
	if err != nil {
		return source{}, fmt.Errorf("the source package in %s is damaged (%w); remove the directory to have it fetched again", dir, err)
	}
	files, err := filesBelow(ctx, tree, "./debian", "./.pc") // rules of another build
	return source{
		dir: tree, files: files, link: true, version: version,
		label: "Debian's " + p.String(), full: cmp.Or(p.Version, version), state: p.String(),
	}, err
}

// readPackage says which package is unpacked in a directory; the zero one: none.
func readPackage(dir string) (kernels.SourcePackage, error) {
	path := filepath.Join(dir, unpacked)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kernels.SourcePackage{}, nil
	}
	var p kernels.SourcePackage
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w; remove %s to have the source fetched again", path, err, dir)
	}
	return p, nil
}

// fetch unpacks the newest source package into a directory, whole or not at all, unless that
// is the one that is there.
func (o *Options) fetch(ctx context.Context, store *kernels.Store, dir, to string, have kernels.SourcePackage) (kernels.SourcePackage, error) {
	download, fresh := filepath.Join(dir, "download"), filepath.Join(dir, "source.new")
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(download, 0o755)); err != nil {
		return have, err
	}
	if err := kernels.WantRoom(dir, unpackedBytes, "the source of kernel "+o.Source); err != nil {
		return have, err
	}
	p, err := store.FetchSource(ctx, o.Source, download, have)
	if err != nil || p == have {
		return p, err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return have, err
	}
	o.Log.Infof("unpacking the source package %s", p)
	call := host.Call{Dir: fresh, Out: io.Discard}
	if _, err := host.DpkgSource.RunAs(ctx, call, "--no-copy", "--extract", p.Dsc, filepath.Join(fresh, "tree")); err != nil {
		return have, err
	}
	p.Dsc = "" // it goes
	raw, err := json.Marshal(p)
	if err != nil {
		return have, err
	}
	if err := os.WriteFile(filepath.Join(fresh, unpacked), raw, 0o644); err != nil {
		return have, err
	}
	if err := os.RemoveAll(to); err != nil {
		return have, err
	}
	return p, errors.Join(os.Rename(fresh, to), os.RemoveAll(download))
}
