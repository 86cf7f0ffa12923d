package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// Recipe is how a kernel is built that differs from one of Debian's in fixes alone.
type Recipe struct {
	Source  string   // the kernel of Debian whose source is taken
	Without []string // commits of known fixes that are taken out
}

// Name is what the kernel is called in the store, if nothing else was asked for.
func (r Recipe) Name() string {
	return strings.Join(append([]string{r.Source}, r.Without...), "-without-")
}

// Command is the command that builds it.
func (r Recipe) Command() string {
	return "umemstress lab build --source " + strings.Join(append([]string{r.Source}, r.Without...), " --without-fix ")
}

// Built says how a kernel of the store was built here.
type Built struct {
	Name     string   `json:"name"`
	Source   string   `json:"source"`             // such as "Debian's linux 5.10.262-1", or a directory with its commit
	Without  []string `json:"without,omitempty"`  // fixes that were taken out, by their commits
	Patches  []string `json:"patches,omitempty"`  // file names of patches and semantic patches
	Config   []string `json:"config,omitempty"`   // file names of fragments on top of the lab's
	Compiler string   `json:"compiler,omitempty"` // as its --version begins
}

// String says it in a few words.
func (b *Built) String() string {
	words := "built from " + b.Source
	if len(b.Without) > 0 {
		words += " without " + strings.Join(b.Without, ", ")
	}
	if more := append(append([]string{}, b.Patches...), b.Config...); len(more) > 0 {
		words += " with " + strings.Join(more, ", ")
	}
	return words
}

// builtFile of a kernel's directory has its Built.
const builtFile = "built.json"

func isBuilt(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, builtFile))
	return err == nil
}

// readBuilt is nil for a kernel that was not built here.
func readBuilt(dir string) (*Built, error) {
	raw, err := os.ReadFile(filepath.Join(dir, builtFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var b Built
	if err == nil {
		err = json.Unmarshal(raw, &b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; delete the directory and build the kernel again", filepath.Join(dir, builtFile), err)
	}
	return &b, nil
}

// builtDir is the directory of the kernel that was built under the name; empty: none was.
func (s *Store) builtDir(name string) string {
	if CheckName(name) != nil {
		return ""
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(s.Dir, byName, name))
	if err != nil || !isBuilt(dir) {
		return ""
	}
	return dir
}

// BuiltAs is the kernel that was built under the name, and how; nil: none was.
func (s *Store) BuiltAs(name string) (Kernel, *Built, error) {
	dir := s.builtDir(name)
	if dir == "" {
		return Kernel{}, nil, nil
	}
	built, err := readBuilt(dir)
	if err != nil {
		return Kernel{}, nil, err
	}
	k, err := s.load(dir)
	return k, built, err
}

// maxName leaves room for a number before it in a release (__NEW_UTS_LEN).
const maxName = 48

var (
	builtName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]*$`)
	// What Debian calls its kernels, by release or version.
	debianName = regexp.MustCompile(`^[0-9.]+(-[0-9]+.*)?$|-amd64$`)
)

// CheckName refuses names for a kernel that mean another one, or none.
func CheckName(name string) error {
	_, known := seriesNamed(name)
	switch {
	case known || debianName.MatchString(name):
		return host.Usagef("--name %s: that is what a kernel of Debian is called; choose another", name)
	case IsFile(name) || !builtName.MatchString(name) || len(name) > maxName:
		return host.Usagef("--name %q: give up to %d letters, digits and .+_- that begin with a letter or digit and are not called like a package file", name, maxName)
	}
	return nil
}

// builtBytes is ample for a kernel that was built here: image, modules, and what is made of them.
const builtBytes = 300 << 20

// Install puts a kernel that was built here into the store, in place of the one that had its
// name. Fill makes boot/vmlinuz-RELEASE, boot/config-RELEASE and lib/modules/RELEASE below a
// directory.
func (s *Store) Install(ctx context.Context, release, version string, built Built, fill func(tree string) error) (Kernel, error) {
	stock := stockKernel{Release: release, Version: version}
	if err := errors.Join(CheckName(built.Name), stock.check()); err != nil {
		return Kernel{}, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if err := wantRoom(s.Dir, builtBytes, "kernel "+built.Name); err != nil {
		return Kernel{}, err
	}
	old := s.builtDir(built.Name)
	var dir string
	err = s.add(ctx, func(w *workshop) (string, error) {
		if err := os.Mkdir(w.tree(), 0o755); err != nil {
			return "", err
		}
		if err := fill(w.tree()); err != nil {
			return "", err
		}
		sum, err := sha256File(filepath.Join(w.tree(), "boot/vmlinuz-"+release))
		if err != nil {
			return "", err
		}
		dir = filepath.Join(s.Dir, strings.Join([]string{release, version, built.Name, sum[:12]}, "_"))
		if err := w.prepare(ctx, stock); err != nil {
			return "", err
		}
		raw, err := json.Marshal(built)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(w.kernel(), builtFile), raw, 0o644); err != nil {
			return "", err
		}
		if dir == old { // the same image: what else it was built with may differ
			return dir, os.RemoveAll(old)
		}
		return dir, nil
	})
	if err != nil {
		return Kernel{}, err
	}
	if err := s.remember(built.Name, dir); err != nil {
		return Kernel{}, err
	}
	if old != "" && old != dir {
		if err := os.RemoveAll(old); err != nil {
			return Kernel{}, err
		}
	}
	return s.load(dir)
}
