package rotating

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func opened(t *testing.T, path string, size int64, keep int) *File {
	t.Helper()
	f, err := Open(path, size, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // an error: the test has closed it
	return f
}

func write(t *testing.T, f *File, line string) {
	t.Helper()
	if n, err := f.Write([]byte(line)); err != nil || n != len(line) {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Lines of every length, and an observer that ends in between: together the files have all of
// the last ones, each once, whole and in order, and none is too large.
func TestRotate(t *testing.T) {
	const size, keep, lines = 200, 3, 400
	path := filepath.Join(t.TempDir(), "out")
	f := opened(t, path, size, keep)
	for i := range lines {
		write(t, f, fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%90)))
		if i%37 == 0 {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			f = opened(t, path, size, keep)
		}
	}
	var all string
	for _, name := range []string{path + ".3", path + ".2", path + ".1", path} {
		text := read(t, name)
		if len(text) > size || len(text) == 0 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		all += text
	}
	if _, err := os.Lstat(path + ".4"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file too many: %v", err)
	}
	got := strings.Split(strings.TrimSuffix(all, "\n"), "\n")
	for i, line := range got {
		n := lines - len(got) + i
		if want := fmt.Sprintf("%d %s", n, strings.Repeat("x", n%90)); line != want {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
	if len(got) < 8 {
		t.Errorf("only %d lines are left", len(got))
	}
}

// A line that is longer than a file may be has one of its own; with none kept, the file begins
// anew; without a size it grows.
func TestSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f := opened(t, path, 10, 1)
	write(t, f, "a\n")
	write(t, f, "a very long line\n")
	write(t, f, "b\n")
	if read(t, path) != "b\n" || read(t, path+".1") != "a very long line\n" {
		t.Errorf("%q, %q", read(t, path), read(t, path+".1"))
	}
	path = filepath.Join(t.TempDir(), "out")
	f = opened(t, path, 10, 0)
	for _, line := range []string{"12345678\n", "abcdefgh\n"} {
		write(t, f, line)
		if read(t, path) != line {
			t.Errorf("%q, want %q", read(t, path), line)
		}
	}
	path = filepath.Join(t.TempDir(), "out")
	f = opened(t, path, 0, 1)
	for range 100 {
		write(t, f, "12345678\n")
	}
	if text := read(t, path); len(text) != 900 {
		t.Errorf("%d bytes", len(text))
	}
}

// What an earlier observer has left is added to, and its last line, cut off, ends first. The
// files that come have the mode that the first was given.
func TestContinues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("one\ntw"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path, 15, 1)
	write(t, f, "three\n")
	if read(t, path) != "one\ntw\nthree\n" {
		t.Errorf("%q", read(t, path))
	}
	write(t, f, "four\n")
	info, err := os.Stat(path)
	if err != nil || read(t, path) != "four\n" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v, %v", read(t, path), info.Mode(), err)
	}
}

// Another program has set the file aside: asked to, the lines go to a new one, and until then to
// the old one.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f := opened(t, path, 1000, 2)
	write(t, f, "a\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, f, "b\n")
	f.ReopenSoon()
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	if read(t, path) != "" {
		t.Errorf("%q", read(t, path))
	}
	write(t, f, "c\n")
	if read(t, path) != "c\n" || read(t, path+".old") != "a\nb\n" {
		t.Errorf("%q, %q", read(t, path), read(t, path+".old"))
	}
	// Where the new one cannot be opened, the lines are not lost.
	if err := os.Rename(path, path+".older"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f.ReopenSoon()
	var misplaced *Misplaced
	if n, err := f.Write([]byte("d\n")); n != 2 || !errors.As(err, &misplaced) || !strings.Contains(err.Error(), "it is a directory") {
		t.Errorf("%d, %v", n, err)
	}
	write(t, f, "e\n")
	if read(t, path+".older") != "c\nd\ne\n" {
		t.Errorf("%q", read(t, path+".older"))
	}
}

// Where the full file cannot be set aside, it goes on, is not tried again at each line, and no
// line is lost.
func TestCannotRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.MkdirAll(path+".1/x", 0o700); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path, 10, 1)
	failures := 0
	for range 10 {
		n, err := f.Write([]byte("1234\n"))
		var misplaced *Misplaced
		if err != nil && !errors.As(err, &misplaced) || n != 5 {
			t.Fatalf("%d, %v", n, err)
		}
		if err != nil {
			failures++
		}
	}
	if text := read(t, path); text != strings.Repeat("1234\n", 10) || failures != 4 {
		t.Errorf("%q, failed %d times", text, failures)
	}
}

// What is no file is refused before it is opened, and the sentence says what to do.
func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Symlink(at("file"), at("link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                            "it is a directory; name a file in it",
		at("link"):                     "it is a symbolic link",
		at("pipe"):                     "it is a pipe",
		"/dev/null":                    "it is no file; have standard output led to it",
		at("nowhere/file"):             "make its directory first",
		at("file/below"):               "not a directory",
		at(strings.Repeat("long", 99)): "file name too long",
	} {
		_, err := Open(path, 0, 0)
		var kind interface{ Usage() bool }
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &kind) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// onSmallDisk mounts a tmpfs of that many bytes for the test, in a copy of its process which no
// other process sees. It returns the directory there, and "" in the process that started it.
func onSmallDisk(t *testing.T, bytes string) string {
	t.Helper()
	const marker = "TEST_ON_SMALL_DISK"
	if dir := os.Getenv(marker); dir != "" {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), marker+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return ""
}

// On a full disk no part of a line stays, and once there is room the next one is written.
func TestDiskFull(t *testing.T) {
	dir := onSmallDisk(t, "64k")
	if dir == "" {
		return
	}
	path := filepath.Join(dir, "out")
	f := opened(t, path, 0, 0)
	line := append(bytes.Repeat([]byte{'x'}, 5000), '\n')
	written := 0
	var err error
	for err == nil {
		if _, err = f.Write(line); err == nil {
			written++
		}
	}
	if !errors.Is(err, unix.ENOSPC) || written < 10 {
		t.Fatalf("%d lines, %v", written, err)
	}
	if text := read(t, path); text != strings.Repeat(string(line), written) {
		t.Errorf("%d bytes, want %d", len(text), written*len(line))
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=128k"); err != nil {
		t.Fatal(err)
	}
	write(t, f, string(line))
	if text := read(t, path); text != strings.Repeat(string(line), written+1) {
		t.Errorf("%d bytes, want %d", len(text), (written+1)*len(line))
	}
}
