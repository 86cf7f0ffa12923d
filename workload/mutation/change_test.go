package mutation

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"umemstress/workload/child"
)

func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{ChangeChild: ChangeMain})
	os.Exit(m.Run())
}

// Another process changes the file just as this one does.
func TestChanges(t *testing.T) {
	for _, by := range []func(change, *os.File, int64, int64) error{change.apply, change.applyByChild} {
		for _, c := range []struct {
			change change
			length int
			page   byte // what is then in the second of three pages of ones
		}{{punch, 3 * 4096, 0}, {write, 3 * 4096, 0}, {truncate, 4096, 1}} {
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(bytes.Repeat([]byte{1}, 3*4096)); err != nil {
				t.Fatal(err)
			}
			if err := by(c.change, f, 4096, 4096); err != nil {
				t.Fatalf("%s: %v", c.change, err)
			}
			got, err := os.ReadFile(f.Name())
			want := bytes.Repeat([]byte{1}, c.length)
			if c.page == 0 {
				clear(want[4096:8192])
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, or other ones than expected; %v", c.change, len(got), err)
			}
		}
		if err := by("rename", nil, 0, 0); err == nil {
			t.Error("a change that does not exist was made")
		}
	}
}
