package matrix

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
)

const someExpectations = `# a comment
rdma/ext4/pageout/none:
  5.10:   {verdict: data-lost, pages: all, quick: true, source: "seen: by hand"}
  "6.1":  {verdict: clean, source: commit 1234}
dio/xfs/none/reflink:
  sid:    {verdict: corrupted, pages: some, source: seen}
`

func TestParseExpectations(t *testing.T) {
	got, err := parseExpectations([]byte(someExpectations))
	if err != nil {
		t.Fatal(err)
	}
	want := []Expectation{
		{Kernel: "5.10", Scenario: "rdma/ext4/pageout/none", Verdict: "data-lost", Pages: PagesAll, Quick: true, Source: "seen: by hand"},
		{Kernel: "6.1", Scenario: "rdma/ext4/pageout/none", Verdict: "clean", Source: "commit 1234"},
		{Kernel: "sid", Scenario: "dio/xfs/none/reflink", Verdict: "corrupted", Pages: PagesSome, Source: "seen"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseExpectationsRefuses(t *testing.T) {
	const cell = "rdma/ext4/pageout/none:\n  \"5.10\": "
	for name, tt := range map[string]struct{ file, says string }{
		"nothing":            {"# only a comment\n", "empty"},
		"two documents":      {"---\n" + cell + "{verdict: clean, source: x}\n---\na: b\n", "more than one"},
		"a list":             {"- a\n", "line 1: expected"},
		"no YAML":            {"a: {b\n", "yaml: line 1"},
		"scenario":           {"rdma/ext4:\n  \"5.10\": {verdict: clean, source: x}\n", "line 1: scenario \"rdma/ext4\": expected HOLDER/FS/STRIP/MUTATION"},
		"kernel":             {"rdma/ext4/pageout/none:\n  ../x: {verdict: clean, source: x}\n", "line 2: \"../x\" is no name of a kernel"},
		"no cells":           {"rdma/ext4/pageout/none: {}\n", "no cell"},
		"a word for a cell":  {cell + "clean\n", "line 2: expected"},
		"unknown verdict":    {cell + "{verdict: lost, source: x}\n", "line 2: unknown verdict \"lost\": choose crashed, corrupted, data-lost,"},
		"verdict by alias":   {cell + "{source: &clean x, verdict: *clean}\n", "line 2: verdict: expected a word"},
		"list for a verdict": {cell + "{verdict: [clean], source: x}\n", "line 2: verdict: expected a word"},
		"key by alias":       {cell + "{source: &verdict x, *verdict : clean}\n", "line 2: expected a word for a key"},
		"no verdict":         {cell + "{source: x}\n", "line 2: no verdict"},
		"no source":          {cell + "{verdict: clean}\n", "line 2: no source"},
		"blank source":       {cell + "{verdict: clean, source: ' '}\n", "line 2: no source"},
		"unknown key":        {cell + "{verdict: clean, sauce: x}\n", "line 2: unknown key \"sauce\""},
		"key twice":          {cell + "{verdict: clean, verdict: refused, source: x}\n", "line 2: \"verdict\" is in line 2 already"},
		"quick":              {cell + "{verdict: clean, quick: 1, source: x}\n", "line 2: quick: \"1\""},
		"pages":              {cell + "{verdict: data-lost, pages: 7, source: x}\n", "line 2: unknown pages \"7\""},
		"pages of no damage": {cell + "{verdict: clean, pages: all, source: x}\n", "line 2: pages: a verdict of clean"},
		"kernel twice":       {cell + "{verdict: clean, source: x}\n  5.10: {verdict: clean, source: x}\n", "line 3: \"5.10\" is in line 2 already"},
		"scenario twice":     {someExpectations + cell + "{verdict: clean, source: x}\n", "line 7: \"rdma/ext4/pageout/none\" is in line 2 already"},
	} {
		_, err := parseExpectations([]byte(tt.file))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

func TestReadExpectationsNamesTheFile(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	labtest.WriteFile(t, bad, "a/b/c/d: x\n")
	for _, path := range []string{bad, bad + ".none"} {
		_, err := ReadExpectations(path)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want a usage error about %s", err, path)
		}
	}
}

// lacks says whether a kernel of the lab has not what a scenario needs: the report's own is small, and
// its configuration has none of these. 5.10 has no XFS with both reflink and DAX.
func lacks(kernel, scenario string) bool {
	if _, overSiw := OverSiw(scenario); overSiw {
		return kernel != "5.10-unfixed" // Debian's have none
	}
	switch {
	case strings.HasPrefix(kernel, "5.10") && strings.HasSuffix(scenario, "/xfs-dax/none/reflink"):
		return true
	}
	return kernel == "5.10-unfixed" && slices.ContainsFunc(strings.Split(scenario, "/"), func(part string) bool {
		return slices.Contains([]string{"vmci", "nfs", "fuse", "v4l2", "xdp", "ext4-dm-crypt", "ext4-dax", "xfs-dax", "ocfs2"}, part)
	})
}

// TestOwnExpectations checks the file that CI runs: every scenario says what it
// does on every kernel of the lab that can run it, and the subset is a part of it.
func TestOwnExpectations(t *testing.T) {
	expectations, err := Expected()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := (&kernels.Store{Dir: t.TempDir()}).List()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	quick := 0
	for _, e := range expectations {
		columns[e.Scenario] = append(columns[e.Scenario], e.Kernel)
		if e.Quick {
			quick++
		}
	}
	for scenario, names := range columns {
		able := 0
		for _, known := range entries {
			if lacks(known.Name, scenario) {
				continue
			}
			able++
			if !slices.Contains(names, known.Name) {
				t.Errorf("%s: no expectation for %s", scenario, known.Name)
			}
		}
		if len(names) != able {
			t.Errorf("%s has expectations for %v: there are kernels that the lab does not know", scenario, names)
		}
	}
	if quick == 0 || quick == len(expectations) {
		t.Errorf("%d of %d cells are in the subset", quick, len(expectations))
	}
}
