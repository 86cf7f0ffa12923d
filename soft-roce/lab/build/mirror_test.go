package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// files reads a tree: what is in each file.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filesBelow(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(text)
	}
	return found
}

func TestMirror(t *testing.T) {
	for name, link := range map[string]bool{"of the cache": true, "of the user's": false} {
		t.Run(name, func(t *testing.T) {
			base, dst := t.TempDir(), filepath.Join(t.TempDir(), "tree")
			lay(t, base, map[string]string{"a/1.c": "one", "a/2.c": "two", "b/3.c": "three"})
			if err := os.Symlink("1.c", filepath.Join(base, "a/link")); err != nil {
				t.Fatal(err)
			}
			long := time.Now().Add(-time.Hour)
			names := []string{"a/1.c", "a/2.c", "b/3.c"}
			for _, name := range names {
				if err := os.Chtimes(filepath.Join(base, name), long, long); err != nil {
					t.Fatal(err)
				}
			}
			m := mirror{base: base, files: append(names, "a/link", "went"), dst: dst, link: link}
			sync := func(want int) {
				t.Helper()
				if got, err := m.sync(t.Context()); err != nil || got != want {
					t.Errorf("sync = %d, %v; want %d", got, err, want)
				}
			}
			sync(4)
			sync(0)
			built := time.Now()
			newer := func(name string) bool {
				st, err := os.Stat(filepath.Join(dst, name))
				if err != nil {
					t.Fatal(err)
				}
				return !st.ModTime().Before(built.Truncate(10 * time.Millisecond))
			}
			if newer("a/1.c") {
				t.Error("a copy is newer than its original")
			}
			m.altered = map[string]altered{"a/1.c": {content: []byte("ONE"), mode: 0o644}, "b/3.c": {gone: true}, "c/4.c": {content: []byte("four"), mode: 0o755}}
			sync(3)
			sync(0)
			if got := files(t, dst); len(got) != 4 || got["a/1.c"] != "ONE" || got["a/link"] != "ONE" || got["c/4.c"] != "four" || !newer("a/1.c") {
				t.Errorf("altered: %v", got)
			}
			// The original is older than what was compiled of the altered file.
			m.altered = nil
			sync(3)
			sync(0)
			if got := files(t, dst); len(got) != 4 || got["a/1.c"] != "one" || got["b/3.c"] != "three" || !newer("a/1.c") {
				t.Errorf("as it was: %v", got)
			}
			if files(t, base)["a/1.c"] != "one" {
				t.Error("the original was written to")
			}
			if isDir(filepath.Join(dst, "c")) {
				t.Error("a directory that is empty stays")
			}
		})
	}
}

// A copy that is interrupted has no half file, and the next one makes it whole.
func TestMirrorInterrupted(t *testing.T) {
	base, dst := t.TempDir(), t.TempDir()
	lay(t, base, map[string]string{"1.c": "one"})
	lay(t, dst, map[string]string{"1.c" + half: "o"})
	m := mirror{base: base, files: []string{"1.c"}, dst: dst}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.sync(ctx); err == nil {
		t.Error("it went on")
	}
	if _, err := m.sync(t.Context()); err != nil {
		t.Error(err)
	}
	if got := files(t, dst); len(got) != 1 || got["1.c"] != "one" {
		t.Errorf("%v", got)
	}
}

// Builds of one source take turns, and who waits is told so.
func TestPlaceIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "5.10")
	first, err := openPlace(t.Context(), dir, host.Log(nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if second, err := openPlace(ctx, dir, host.Log(nil)); err == nil {
		second.close()
		t.Error("two build in one place")
	}
	log, told := logtest.NewNullLogger()
	got := make(chan error)
	go func() {
		second, err := openPlace(t.Context(), dir, log)
		if err == nil {
			err = second.close()
		}
		got <- err
	}()
	for told.LastEntry() == nil {
		select {
		case err := <-got:
			t.Fatalf("it does not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	if said := told.LastEntry().Message; !strings.Contains(said, "another build of this source is going on in "+dir) {
		t.Error(said)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// What a build that was killed wrote last is made again, and what it had finished is not.
func TestPlaceAfterKill(t *testing.T) {
	dir := t.TempDir()
	begin := func(t *testing.T) *place {
		t.Helper()
		p, err := openPlace(t.Context(), dir, host.Log(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.begin(); err != nil {
			t.Fatal(err)
		}
		lay(t, p.out(), map[string]string{"done.o": "done", "torn.o": "to"})
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(filepath.Join(p.out(), "done.o"), old, old); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := begin(t)
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	p.close()
	if p, err := openPlace(t.Context(), dir, host.Log(nil)); err != nil || len(files(t, p.out())) != 2 {
		t.Errorf("after an end in order: %v", err)
	} else {
		p.close()
	}
	begin(t).close() // killed: not ended
	log, told := logtest.NewNullLogger()
	p, err := openPlace(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, p.out()); len(got) != 1 || got["done.o"] != "done" {
		t.Errorf("after a kill: %v", got)
	}
	if last := told.LastEntry(); last == nil || !strings.Contains(last.Message, "was interrupted; going on where it was") {
		t.Errorf("told %+v", last)
	}
	p.close()
	p = begin(t)
	if err := os.WriteFile(p.busy(), []byte("another boot"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.close()
	if p, err = openPlace(t.Context(), dir, host.Log(nil)); err != nil || isDir(p.out()) {
		t.Errorf("after a crash of the machine: %v", err)
	}
	p.close()
}

// Of what make said, the first complaint is repeated, and a full disk is told.
func TestBuildLog(t *testing.T) {
	l, err := newBuildLog(filepath.Join(t.TempDir(), "log"), host.Log(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	say := func(text string) (string, bool) {
		t.Helper()
		l.begin()
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return l.failure()
	}
	if said, full := say("  CC      mm/error.o\nmm/gup.c:1:5: error: expected ';'\nmake[1]: *** [mm/gup.o] Error 1\n"); full || said != "mm/gup.c:1:5: error: expected ';'" {
		t.Errorf("%q, %v", said, full)
	}
	if said, full := say("ld: cannot find it\n\n"); full || said != "ld: cannot find it" {
		t.Errorf("%q, %v", said, full)
	}
	if _, full := say("cc1: error: a.s: " + unix.ENOSPC.Error() + "\nas: No space left on device\n"); !full {
		t.Error("a full disk is not told")
	}
}
