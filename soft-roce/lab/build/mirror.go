package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// altered is a file that a change made, or took away.
type altered struct {
	content []byte
	mode    fs.FileMode
	gone    bool
}

// mirror makes a tree that has the files of base, with those that are altered. It touches
// only what differs, and what it replaces has the present time, so that the kernel's build
// compiles just that again.
type mirror struct {
	base    string
	files   []string // of base, relative
	altered map[string]altered
	dst     string
	link    bool // share the files with base, which nobody writes to
}

// sync brings the tree up to date, and may be interrupted and run again. It tells how many
// files it wrote, or took away.
func (m *mirror) sync(ctx context.Context) (changed int, err error) {
	wanted := make(map[string]bool, len(m.files))
	made := map[string]bool{}
	put := func(file string, update func(from, to string) (bool, error)) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		to := filepath.Join(m.dst, file)
		if dir := filepath.Dir(to); !made[dir] {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made[dir] = true
		}
		wrote, err := update(filepath.Join(m.base, file), to)
		if wrote {
			changed++
		}
		if errors.Is(err, fs.ErrNotExist) { // it went from the base meanwhile
			return nil
		}
		wanted[file] = true
		return err
	}
	for _, file := range m.files {
		if _, ok := m.altered[file]; ok {
			continue
		}
		if err := put(file, m.same); err != nil {
			return changed, err
		}
	}
	for file, a := range m.altered {
		if a.gone {
			continue
		}
		if err := put(file, func(_, to string) (bool, error) { return write(a, to) }); err != nil {
			return changed, err
		}
	}
	removed, err := m.prune(ctx, wanted)
	return changed + removed, err
}

// same makes one file as it is in the base.
func (m *mirror) same(from, to string) (wrote bool, err error) {
	is, err := os.Lstat(from)
	if err != nil {
		return false, err
	}
	had, err := os.Lstat(to)
	exists := err == nil
	if exists && had.Mode().Type() == is.Mode().Type() {
		switch {
		case is.Mode().IsRegular():
			if os.SameFile(is, had) || had.Size() == is.Size() && had.ModTime().Equal(is.ModTime()) && !m.link {
				return false, nil
			}
			if same, err := sameContent(from, to, is.Size(), had.Size()); err != nil || same {
				return false, err
			}
		case is.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(from)
			if old, err := os.Readlink(to); err == nil && old == target {
				return false, nil
			}
		}
	} else if exists {
		if err := os.RemoveAll(to); err != nil {
			return false, err
		}
	}
	switch {
	case is.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return false, err
		}
		_ = os.Remove(to) // the next line tells what went wrong
		return true, os.Symlink(target, to)
	case !is.Mode().IsRegular():
		return false, nil // a socket, a device: of no kernel's source
	case m.link && !exists && os.Link(from, to) == nil:
		return true, nil
	}
	when := is.ModTime()
	if exists {
		when = time.Now() // older than what was compiled of the other one it would not be looked at
	}
	return true, copyFile(from, to, is.Mode().Perm(), when)
}

func sameContent(a, b string, sizeA, sizeB int64) (bool, error) {
	if sizeA != sizeB {
		return false, nil
	}
	textA, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	textB, err := os.ReadFile(b)
	return bytes.Equal(textA, textB), err
}

// copyFile puts a file in place of another, whole.
func copyFile(from, to string, mode fs.FileMode, when time.Time) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return replace(to, in, mode, when)
}

// half is how the files are called that are not whole yet.
const half = ".umemstress-new"

func replace(to string, in io.Reader, mode fs.FileMode, when time.Time) error {
	out, err := os.OpenFile(to+half, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(mode|0o600), out.Close())
	if err == nil {
		err = os.Chtimes(out.Name(), when, when)
	}
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// write makes one file that is altered.
func write(a altered, to string) (bool, error) {
	if st, err := os.Lstat(to); err == nil && !st.Mode().IsRegular() {
		if err := os.RemoveAll(to); err != nil {
			return false, err
		}
	} else if err == nil {
		if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, a.content) {
			return false, nil
		}
	}
	return true, replace(to, bytes.NewReader(a.content), a.mode, time.Now())
}

// prune takes away what is not wanted.
func (m *mirror) prune(ctx context.Context, wanted map[string]bool) (removed int, err error) {
	var dirs []string
	err = filepath.WalkDir(m.dst, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return firstOf(context.Cause(ctx), err)
		}
		file, err := filepath.Rel(m.dst, path)
		if err != nil || file == "." {
			return err
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		if wanted[file] {
			return nil
		}
		removed++
		return os.Remove(path)
	})
	if removed > 0 {
		slices.Reverse(dirs)
		for _, dir := range dirs {
			_ = os.Remove(dir) // those that are empty
		}
	}
	return removed, err
}

// filesBelow lists all files of a tree, but those whose name or path, and those in
// directories whose name or path, a pattern of the skipped ones matches. A pattern with a
// slash is of a path; ./NAME is at the top.
func filesBelow(ctx context.Context, dir string, skip ...string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return firstOf(context.Cause(ctx), err)
		}
		file := strings.TrimPrefix(path, dir+string(filepath.Separator))
		if path != dir && skipped(file, skip) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() {
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

func skipped(file string, patterns []string) bool {
	for _, pattern := range patterns {
		name := filepath.Base(file)
		if strings.ContainsRune(pattern, '/') {
			name = file
		}
		if ok, err := filepath.Match(strings.TrimPrefix(pattern, "./"), name); ok && err == nil {
			return true
		}
	}
	return false
}
