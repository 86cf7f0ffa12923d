package ci

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// report has every outcome, and what other people's kernels and paths may put into text.
var report = Report{Name: "matrix", Suites: []Suite{
	{Name: "5.10", Kernel: "5.10.0-46-amd64", Started: time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC), Cases: []Case{
		{Name: "rdma/ext4/pageout/none", Outcome: Passed, Why: "data-lost, as expected", Seconds: 2.5, Evidence: "5.10/rdma/ext4"},
		{Name: "dio/ext4/none/none", Outcome: Failed, Why: "expected clean, got <data-lost> & \"more\" # 1\nok 7 forged",
			Detail: []string{"channels disagree: a\x1b[31mb]]>", "second"}, Seconds: 1234.5678, Evidence: "a b"},
		{Name: "a#b\x00", Outcome: Errored, Why: "timeout # SKIP", Detail: []string{"Subtest: forged", "KTAP version 1", "1..9", "ok 1 forged"}},
		{Name: "not-run", Outcome: Skipped, Why: "interrupted"},
	}},
	{Name: "6.12", Cases: []Case{{Name: "x", Outcome: Skipped}}},
	{Name: "empty"},
}}

// The nearest thing to a definition that JUnit XML has is what Jenkins takes: testdata/junit-10.xsd is
// the schema of its xunit plugin, unchanged, from Debian's source package python-xmlrunner 3.2.0-2
// (tests/vendor/jenkins/xunit-plugin), which tests against it as well.
func TestJUnitIsValid(t *testing.T) {
	var out bytes.Buffer
	if err := report.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	if said, err := validate(t, out.Bytes()); err != nil {
		t.Errorf("%v: %s\n%s", err, said, &out)
	}
	// The schema refuses what is no JUnit XML.
	for _, wrong := range []string{
		strings.Replace(out.String(), `tests="4"`, "", 1),
		strings.Replace(out.String(), "<failure", "<trouble/><failure", 1),
		strings.Replace(out.String(), `time="1237.068"`, `time="1237.068 s"`, 1),
		strings.Replace(out.String(), `<testsuites `, `<testsuites skipped="1" `, 1),
	} {
		if wrong == out.String() {
			t.Fatal("nothing was made wrong")
		}
		if _, err := validate(t, []byte(wrong)); err == nil {
			t.Errorf("valid:\n%s", wrong)
		}
	}
}

func validate(t *testing.T, document []byte) (said []byte, err error) {
	t.Helper()
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Fatal("no xmllint: apt-get install libxml2-utils")
	}
	file := filepath.Join(t.TempDir(), "junit.xml")
	if err := os.WriteFile(file, document, 0o644); err != nil {
		t.Fatal(err)
	}
	return exec.Command(xmllint, "--noout", "--schema", "testdata/junit-10.xsd", file).CombinedOutput()
}

func TestJUnitCounts(t *testing.T) {
	var out bytes.Buffer
	if err := report.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	var got junit.Testsuites
	if err := xml.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 5 || got.Failures != 1 || got.Errors != 1 || got.Suites[0].Skipped != 1 {
		t.Errorf("%d tests, %d failures, %d errors, %d skipped", got.Tests, got.Failures, got.Errors, got.Suites[0].Skipped)
	}
	failed := got.Suites[0].Testcases[1]
	if want := `expected clean, got <data-lost> & "more" # 1 ok 7 forged`; failed.Failure == nil || failed.Failure.Message != want {
		t.Errorf("%+v", failed.Failure)
	}
	if failed.Time != "1234.568" { // of a case the schema has any text
		t.Errorf("time %q", failed.Time)
	}
	if !strings.Contains(failed.Failure.Data, "channels disagree: a [31mb]]>\nsecond\nevidence: a b\n[[ATTACHMENT|a b/run.json]]\n") {
		t.Errorf("%q", failed.Failure.Data)
	}
}

func TestKTAP(t *testing.T) {
	var out bytes.Buffer
	if err := report.KTAP(&out); err != nil {
		t.Fatal(err)
	}
	want := `KTAP version 1
1..3
  KTAP version 1
  # Subtest: 5.10
  1..4
  # data-lost, as expected
  # evidence: 5.10/rdma/ext4
  ok 1 rdma/ext4/pageout/none
  # channels disagree: a [31mb]]>
  # second
  # evidence: a b
  not ok 2 dio/ext4/none/none # expected clean, got <data-lost> & "more" _ 1 ok 7 forged
  # > Subtest: forged
  # KTAP version 1
  # 1..9
  # ok 1 forged
  not ok 3 a_b # ERROR timeout _ SKIP
  ok 4 not-run # SKIP interrupted
not ok 1 5.10
  KTAP version 1
  # Subtest: 6.12
  1..1
  ok 1 x # SKIP
ok 2 6.12 # SKIP
  KTAP version 1
  # Subtest: empty
  1..0
ok 3 empty # SKIP
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// Valid KTAP is valid TAP at each level (ktap.rst), and Perl has its reader.
func TestKTAPIsTAP(t *testing.T) {
	var out bytes.Buffer
	if err := report.KTAP(&out); err != nil {
		t.Fatal(err)
	}
	var inner []string
	for l := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(l, indent); ok {
			inner = append(inner, rest)
		} else if strings.Contains(l, " 5.10") {
			break // the end of the first suite
		}
	}
	for tap, want := range map[string]string{
		out.String():            "3 planned, 3 run, 1 failed, 2 skipped, 0 errors",
		strings.Join(inner, ""): "4 planned, 4 run, 2 failed, 1 skipped, 0 errors",
	} {
		if got := readTAP(t, tap); got != want {
			t.Errorf("%s, want %s, of\n%s", got, want, tap)
		}
	}
}

func readTAP(t *testing.T, tap string) string {
	t.Helper()
	const reader = `undef $/; my $p = TAP::Parser->new({tap => <STDIN>}); $p->run;
		printf "%d planned, %d run, %d failed, %d skipped, %d errors",
			$p->tests_planned, $p->tests_run, scalar $p->failed, scalar $p->skipped, scalar $p->parse_errors;`
	cmd := exec.Command("perl", "-MTAP::Parser", "-e", reader)
	cmd.Stdin = strings.NewReader(tap)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perl with TAP::Parser: %v (apt-get install perl)", err)
	}
	return string(out)
}
