//go:build guest

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/leaktest"
)

// Where a run's evidence or its scratch finds no space, at whatever phase, it ends in a
// sentence or in a verdict that it can vouch for, and leaves nothing on the machine.
func TestFullRuns(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	makeDir(t, small)
	cases, refused := 0, 0
	for _, c := range []struct {
		scenario string
		place    []string // what flag leads to the small file system
		sizes    []string
	}{
		{"vmwritev/tmpfs/none/none", []string{"-o", filepath.Join(small, "evidence")}, []string{"4K", "8K", "12K", "16K", "24K", "64K"}},
		{"vmwritev/ext4/none/none", []string{"-o", filepath.Join(dir, "evidence"), "--scratch-dir", small}, []string{"4K", "64K", "1M", "3M", "16M"}},
		{"dio/xfs/none/none", []string{"-o", filepath.Join(dir, "evidence"), "--scratch-dir", small}, []string{"1M", "16M"}},
	} {
		for _, size := range c.sizes {
			if err := unix.Mount("small", small, "tmpfs", 0, "size="+size); err != nil {
				t.Fatal(err)
			}
			before, err := leaktest.Look()
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, nil, append([]string{program(t), "run", "--scenario", c.scenario, "--file-size", "2M", "--anon-size", "2M"}, c.place...)...)
			what := fmt.Sprintf("%s, %s in %s", c.scenario, c.place, size)
			if !p.ended(patience) {
				t.Errorf("%s: it was not at its end after %s", what, patience)
			} else if wrong := wrongOfFull(p); wrong != "" {
				t.Errorf("%s: %s: %s", what, wrong, p)
			}
			if p.code() == 1 {
				refused++
			}
			left, err := before.Leaks(cleanup)
			if err != nil {
				t.Fatal(err)
			}
			for _, leak := range left {
				t.Errorf("%s: %s", what, leak)
			}
			if err := unix.Unmount(small, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, "evidence")); err != nil {
				t.Fatal(err)
			}
			cases++
		}
	}
	fmt.Printf("%d runs on full disks, %d of which had no space\n", cases, refused)
	if refused == 0 {
		t.Error("none was out of space")
	}
}

func wrongOfFull(p *process) string {
	const failed, inconclusive, exposed = 1, 4, 10
	switch {
	case crash(p.stderr.String()) != "":
		return "it died of itself"
	case p.code() == failed && !strings.Contains(p.stderr.String(), "space"):
		return "it does not say that there was no space"
	case p.code() == failed:
		return wrongSentence(p.stderr.String())
	case !slices.Contains([]int{0, inconclusive, exposed}, p.code()):
		return fmt.Sprintf("exit code %d", p.code())
	}
	return ""
}
