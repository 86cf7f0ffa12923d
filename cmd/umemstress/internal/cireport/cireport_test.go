package cireport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"umemstress/workload/report/ci"
)

func parse(t *testing.T, args ...string) *Flags {
	t.Helper()
	f, set := &Flags{}, pflag.NewFlagSet("x", pflag.ContinueOnError)
	f.Register(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReports(t *testing.T) {
	dir := t.TempDir()
	junit, ktap := filepath.Join(dir, "a=b.xml"), filepath.Join(dir, "k")
	f := parse(t, "--report", "junit="+junit, "--report", "ktap="+ktap, "--report-inconclusive", "failure")
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(func(inconclusive ci.Outcome) ci.Report {
		return ci.Report{Suites: []ci.Suite{{Name: "s", Cases: []ci.Case{{Name: "c", Outcome: inconclusive}}}}}
	}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{junit: `<testcase name="c"`, ktap: "  not ok 1 c\nnot ok 1 s\n"} {
		if got, err := os.ReadFile(file); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %v\n%s\nwant %s", file, err, got, want)
		}
	}
	// Without a file, nothing is made.
	if err := parse(t).Save(func(ci.Outcome) ci.Report { t.Error("made"); return ci.Report{} }); err != nil {
		t.Error(err)
	}
}

func TestReportsRefused(t *testing.T) {
	for want, args := range map[string][]string{
		`--report "tap=x": give junit=FILE`:                     {"--report", "tap=x"},
		`--report "junit=": give`:                               {"--report", "junit="},
		`--report "junit": give`:                                {"--report", "junit"},
		`no such file or directory`:                             {"--report", "junit=/nowhere/x"},
		`--report-inconclusive "maybe": choose skip or failure`: {"--report-inconclusive", "maybe"},
	} {
		if err := parse(t, args...).Open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

func TestFromHere(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	for path, want := range map[string]string{filepath.Join(here, "a/b"): "a/b", filepath.Dir(here): filepath.Dir(here), "/x": "/x"} {
		if got := FromHere(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
