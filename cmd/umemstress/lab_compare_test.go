package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/compare"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
)

// TestLabCompareBadInput has no case that gets as far as a guest or the mirror.
func TestLabCompareBadInput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(kernels.PackageDirEnv, "")
	t.Chdir(t.TempDir())
	for _, name := range []string{"taken", "bzImage"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ args, says string }{
		{"", "two kernels, A and B, not 0 arguments"},
		{"5.10", "not 1 argument"},
		{"5.10 6.1 6.12", "not 3 arguments"},
		{"5.10 5.10", `"5.10" is named twice`},
		{"5.10 latest", `no kernel is called "latest"`},
		{"none.deb 5.10", "none.deb: no such file"},
		{"5.10 ./none.tar.xz", "none.tar.xz: no such file"},
		{"5.10 ./bzImage", `"./bzImage": give a name, a directory, package files`},
		{"5.10 a.deb,", "a.deb: no such file"},
		{"5.10 6.12,", `no kernel is called ""`},
		{"5.10 6.1 --scenario rdma/ext4", "write holder/filesystem/strip/mutation"},
		{"5.10 6.1 --scenario sctp/*", `--scenario "sctp/*" matches no scenario of the matrix`},
		{"5.10 6.1 --scenario dio/ext4-1k/*/none --subset", `matches no scenario`},
		{"5.10 6.1 --scenario [", `--scenario "[": syntax error`},
		{"5.10 6.1 --repeat 0", "--repeat 0"},
		{"5.10 6.1 --jobs 0", "--jobs 0"},
		{"5.10 6.1 --format yaml", "--format yaml"},
		{"5.10 6.1 --output taken", "--output: "},
		{"5.10 6.1 --output .", "it is not empty"},
		{"5.10 6.1 --only x", "unknown flag: --only"},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), append([]string{"lab", "compare"}, strings.Fields(tt.args)...), &stdout, &stderr)
		if code != exit.Usage || !strings.Contains(stderr.String(), tt.says) || stdout.Len() != 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q; want %d and %q",
				tt.args, code, stderr.String(), stdout.String(), exit.Usage, tt.says)
		}
	}
}

// Scenarios come in the matrix's order, each once, however often it is selected.
func TestCompareSelection(t *testing.T) {
	expectations, err := matrix.Expected()
	if err != nil {
		t.Fatal(err)
	}
	var all, quick []string
	for _, e := range expectations {
		if strings.HasPrefix(e.Scenario, "rdma-siw/") {
			continue // which hardly any kernel has
		}
		if !slices.Contains(all, e.Scenario) {
			all = append(all, e.Scenario)
		}
		if e.Quick && !slices.Contains(quick, e.Scenario) {
			quick = append(quick, e.Scenario)
		}
	}
	slices.SortFunc(quick, func(a, b string) int { return slices.Index(all, a) - slices.Index(all, b) })
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, all},
		{[]string{"--subset"}, quick},
		{[]string{"--scenario", "rdma/ext4/none/punch", "--scenario", "rdma/ext4/pageout/none"}, []string{"rdma/ext4/pageout/none", "rdma/ext4/none/punch"}},
		{[]string{"--scenario", "rdma/xfs/none/refl*", "--scenario", "rdma/xfs/none/reflink"}, []string{"rdma/xfs/none/reflink"}},
		{[]string{"--scenario", "vmwritev/ext4-1k/memcg/none", "--scenario", "rdma/xfs/none/reflink/natural"}, []string{"rdma/xfs/none/reflink", "vmwritev/ext4-1k/memcg/none"}},
		{[]string{"--subset", "--scenario", "vmwritev/ext4-1k/memcg/none"}, append(slices.Clone(quick), "vmwritev/ext4-1k/memcg/none")},
	} {
		cmd := newLabCompareCommand()
		cmd.ResetFlags()
		var f compareFlags
		f.register(cmd.Flags())
		if err := cmd.ParseFlags(tt.args); err != nil {
			t.Fatal(err)
		}
		if got, err := f.selected(); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v\nwant %q", tt.args, got, err, tt.want)
		}
	}
}

// The exit code says whether all was compared, and only with a flag whether something differs.
func TestCompareStatus(t *testing.T) {
	cell := func(kernel, got string) matrix.Cell {
		return matrix.Cell{Kernel: kernel, Scenario: "a/b/c/d", Repetition: matrix.Repetition{Got: got, Reason: "so it was"}}
	}
	for _, tt := range []struct {
		a, b string
		fail bool
		want int
	}{
		{"clean", "clean", true, exit.Clean},
		{"clean", "data-lost", false, exit.Clean},
		{"clean", "data-lost", true, exit.Failed},
		{"clean", "inconclusive", true, exit.Clean},
		{"clean", matrix.OutcomeCrashed, false, exit.Clean},
		{"clean", matrix.OutcomeFailed, false, exit.Failed},
		{matrix.OutcomeLabFailed, "clean", true, lab.ExitFailed},
	} {
		c := compare.New(&matrix.Result{Cells: []matrix.Cell{cell("x", tt.a), cell("y", tt.b)}}, compare.Kernel{Name: "x"}, compare.Kernel{Name: "y"})
		if got := exit.Code((&compareFlags{failOnDifference: tt.fail}).status(c)); got != tt.want {
			t.Errorf("%+v: exit code %d", tt, got)
		}
	}
}

// What is written has all scenarios, and what is printed those that are not equal.
func TestCompareFiles(t *testing.T) {
	result := &matrix.Result{Repeat: 1}
	for _, kernel := range []string{"x", "y"} {
		result.Cells = append(result.Cells,
			matrix.Cell{Kernel: kernel, Scenario: "same/b/c/d", Repetition: matrix.Repetition{Got: "clean"}},
			matrix.Cell{Kernel: kernel, Scenario: "other/b/c/d", Repetition: matrix.Repetition{Got: map[string]string{"x": "clean", "y": "exposed"}[kernel]}})
	}
	for _, all := range []bool{false, true} {
		dir := t.TempDir()
		f := compareFlags{output: dir, format: "json", all: all}
		cmd := newLabCompareCommand()
		var stdout bytes.Buffer
		cmd.SetOut(&stdout)
		if err := f.report(cmd, compare.New(result, compare.Kernel{Name: "x"}, compare.Kernel{Name: "y"})); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"compare.json", "compare.html"} {
			written, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.Contains(written, []byte("same/b/c/d")) || !bytes.Contains(written, []byte("other/b/c/d")) {
				t.Errorf("%s: %v, %s", name, err, written)
			}
		}
		if got := stdout.String(); !strings.Contains(got, "other/b/c/d") || strings.Contains(got, "same/b/c/d") != all {
			t.Errorf("printed, all %v: %s", all, got)
		}
	}
}

// The evidence of a kernel that is given by a path lies below the output, under its release.
func TestCompareColumnNames(t *testing.T) {
	k := kernels.Kernel{Release: "6.12.90-mine"}
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("tree/6.12", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir("tree")
	for given, want := range map[string]string{
		"6.12": "6.12", "sid": "sid", "6.12-without-x": "6.12-without-x", // by name, whatever directory is called so
		"../tree": k.Release, ".": k.Release, "./6.12": k.Release, "/tmp": k.Release, "../a.deb,../b.deb": k.Release, "../linux.tar.xz": k.Release,
	} {
		if got := columnName(given, k); got != want {
			t.Errorf("%s is called %s, want %s", given, got, want)
		}
	}
}

// Help names each form of a kernel that compare takes.
func TestCompareHelp(t *testing.T) {
	help := strings.Join(strings.Fields(newLabCompareCommand().Long), " ")
	for _, form := range []string{"names", "package files", "archives", "directories"} {
		if !strings.Contains(help, form) {
			t.Errorf("help has no %s", form)
		}
	}
}
