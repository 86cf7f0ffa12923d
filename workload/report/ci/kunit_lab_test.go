//go:build lab

package ci

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var kunit = flag.String("kunit", "", "`FILE`: tools/testing/kunit/kunit.py of a kernel's source, 6.1 or newer")

// KUnit's parser is the kernel's own reader of KTAP. Debian has it in the kernel's source alone, so
// that 'make fixes' does this, which has that at hand.
func TestKUnitReadsKTAP(t *testing.T) {
	if *kunit == "" {
		t.Fatal("where is the parser? -args -kunit ~/.cache/umemstress/build/6.12/source/tree/tools/testing/kunit/kunit.py")
	}
	var out bytes.Buffer
	if err := report.KTAP(&out); err != nil {
		t.Fatal(err)
	}
	said, results := readKTAP(t, out.String())
	if want := "passed: 1, failed: 2, skipped: 3"; !strings.HasSuffix(said, want) {
		t.Errorf("%q, want %q of\n%s", said, want, &out)
	}
	want := []string{
		"FAIL 5.10/dio/ext4/none/none", "FAIL 5.10/a_b", "PASS 5.10/rdma/ext4/pageout/none", "SKIP 5.10/not-run", "SKIP 6.12/x", "SKIP empty",
	}
	slices.Sort(want)
	if !slices.Equal(results, want) {
		t.Errorf("%q\nwant %q of\n%s", results, want, &out)
	}
	// It complains about what is no KTAP.
	for _, wrong := range []string{
		strings.Replace(out.String(), "ok 4 not-run", "ok 5 not-run", 1),
		strings.Replace(out.String(), "1..4", "1..5", 1),
		strings.Replace(out.String(), "KTAP version 1", "KTAP version 2", 1),
	} {
		if wrong == out.String() {
			t.Fatal("nothing was made wrong")
		}
		if said, _ := readKTAP(t, wrong); !strings.Contains(said, "errors: ") {
			t.Errorf("%q of\n%s", said, wrong)
		}
	}
}

// readKTAP is the last line of what KUnit's parser says of a document, and the results that it found,
// sorted.
func readKTAP(t *testing.T, ktap string) (said string, results []string) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "ktap"), filepath.Join(t.TempDir(), "json")
	if err := os.WriteFile(in, []byte(ktap), 0o644); err != nil {
		t.Fatal(err)
	}
	// -B: nothing is written beside the parser. Its exit code tells of failed tests, as there are here.
	text, err := exec.Command("python3", "-B", *kunit, "parse", "--json="+out, in).CombinedOutput()
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, "Testing complete.") {
			said = strings.TrimSpace(l)
		}
	}
	raw, readErr := os.ReadFile(out)
	if said == "" || readErr != nil {
		t.Fatalf("%s: %v, %v: %s", *kunit, err, readErr, text)
	}
	var group kunitGroup
	if err := json.Unmarshal(raw, &group); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	results = group.results("")
	slices.Sort(results)
	return said, results
}

// kunitGroup is a test with subtests, as KUnit's parser writes it.
type kunitGroup struct {
	Name   string
	Groups []kunitGroup                    `json:"sub_groups"`
	Cases  []struct{ Name, Status string } `json:"test_cases"`
}

func (g kunitGroup) results(below string) (all []string) {
	for _, c := range g.Cases {
		all = append(all, c.Status+" "+below+c.Name)
	}
	for _, sub := range g.Groups {
		all = append(all, sub.results(below+sub.Name+"/")...)
	}
	return all
}
