package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload"
)

const testExpectations = `
rdma/ext4/pageout/none:
  "5.10": {verdict: data-lost, quick: true, source: x}
  "6.1":  {verdict: clean, source: x}
rdma/xfs/none/reflink:
  "5.10": {verdict: corrupted, source: x}
dio/ext4/pageout/none:
  "6.1":  {verdict: data-lost, quick: true, source: x}
`

func testExpected(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "expected.yaml")
	if err := os.WriteFile(file, []byte(testExpectations), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestMatrixColumns selects cells. A cell that is compared with nothing ends in
// a question mark.
func TestMatrixColumns(t *testing.T) {
	file := testExpected(t)
	for _, tt := range []struct{ args, want string }{
		{"", "5.10: rdma/ext4/pageout/none rdma/xfs/none/reflink; 6.1: rdma/ext4/pageout/none dio/ext4/pageout/none"},
		{"-k 6.1,5.10", "6.1: rdma/ext4/pageout/none dio/ext4/pageout/none; 5.10: rdma/ext4/pageout/none rdma/xfs/none/reflink"},
		{"--subset", "5.10: rdma/ext4/pageout/none; 6.1: dio/ext4/pageout/none"},
		{"--only rdma/*", "5.10: rdma/ext4/pageout/none rdma/xfs/none/reflink; 6.1: rdma/ext4/pageout/none"},
		{"--only */reflink --only dio/*", "5.10: rdma/xfs/none/reflink; 6.1: dio/ext4/pageout/none"},
		{"--explore rdma/xfs/none/none -k 6.12", "6.12: rdma/xfs/none/none?"},
		{"--explore rdma/xfs/none/none", "5.10: rdma/xfs/none/none?; 6.1: rdma/xfs/none/none?"},
		{"--explore rdma/xfs/none/reflink --only rdma/xfs/*", "5.10: rdma/xfs/none/reflink?; 6.1: rdma/xfs/none/reflink?"},
		{"--explore rdma/xfs/none/none --subset -k 5.10", "5.10: rdma/ext4/pageout/none rdma/xfs/none/none?"},
	} {
		var f matrixFlags
		cmd := newLabMatrixCommand()
		cmd.ResetFlags()
		f.register(cmd.Flags())
		if err := cmd.ParseFlags(append(strings.Fields(tt.args), "--expected", file)); err != nil {
			t.Fatal(err)
		}
		columns, err := f.columns()
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		var got []string
		for _, column := range columns {
			line := column.Name + ":"
			for _, cell := range column.Cells {
				line += " " + cell.Scenario
				if cell.Verdict == "" {
					line += "?"
				}
			}
			got = append(got, line)
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.args, strings.Join(got, "; "), tt.want)
		}
	}
}

// What others tell of is left out where nobody chose.
func TestMatrixColumnsTell(t *testing.T) {
	file := filepath.Join(t.TempDir(), "expected.yaml")
	const refused = `{verdict: refused, source: x}`
	text := "rdma/ext4/pageout/none: {sid: " + refused + "}\nrdma/ext4/none/none: {sid: " + refused + "}\nrdma/xfs/none/none: {sid: " + refused + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"": 2, "--all": 3, "-k sid": 3, "--only */ext4/*": 2} {
		var f matrixFlags
		cmd := newLabMatrixCommand()
		cmd.ResetFlags()
		f.register(cmd.Flags())
		if err := cmd.ParseFlags(append(strings.Fields(args), "--expected", file)); err != nil {
			t.Fatal(err)
		}
		columns, err := f.columns()
		if err != nil || len(columns) != 1 || len(columns[0].Cells) != want {
			t.Errorf("%q: %+v, %v; want %d cells", args, columns, err, want)
		}
	}
}

// TestLabMatrixBadInput has no case that gets as far as a guest or the mirror.
func TestLabMatrixBadInput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(kernels.PackageDirEnv, "")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("taken", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	file := testExpected(t)
	with := " --expected " + file
	for _, tt := range []struct{ args, says string }{
		{"rdma", "takes no arguments"},
		{"--kernels 7.0", `this program has no expectations for "7.0"; it has them for 5.10, 5.10-unfixed, 6.1, 6.12, trixie, sid`},
		{"--only sctp/*", `matches no scenario of this program`},
		{"--expected none.yaml", "none.yaml: no such file"},
		{"--all --subset" + with, "--all and --subset exclude each other"},
		{"--jobs -1" + with, "--jobs -1"},
		{"-j 0" + with, "--jobs 0"},
		{"--jobs 1000000" + with, "memory for"},
		{"--repeat 0" + with, "--repeat 0"},
		{"--memory 16" + with, "--memory 16"},
		{"--cell-timeout 1ms" + with, "--cell-timeout 1ms"},
		{"--format yaml" + with, "--format yaml"},
		{"--kernels 7.0" + with, `no expectations for "7.0"; it has them for 5.10, 6.1`},
		{"--kernels 6.1,6.1" + with, "6.1 is named twice"},
		{"--kernels ./x --explore rdma/xfs/none/none", `"./x" is a path`},
		{"--kernels latest --explore rdma/xfs/none/none", `no kernel is called "latest"`},
		{"--only sctp/*" + with, `--only "sctp/*" matches no scenario of ` + file},
		{"--only [" + with, `--only "[": syntax error`},
		{"--explore rdma/ext4" + with, "write holder/filesystem/strip/mutation"},
		{"--explore sctp/ext4/none/none" + with, "sctp"},
		{"--kernels 6.1 --only */reflink" + with, "no cell of " + file + " is selected"},
		{"--output taken" + with, "--output: "},
		{"--output " + filepath.Dir(file) + with, "it is not empty"},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), append([]string{"lab", "matrix"}, strings.Fields(tt.args)...), &stdout, &stderr)
		if code != exit.Usage || !strings.Contains(stderr.String(), tt.says) || stdout.Len() != 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q; want %d and %q",
				tt.args, code, stderr.String(), stdout.String(), exit.Usage, tt.says)
		}
	}
}

// testKernels has one kernel, can build one, and reaches no other.
type testKernels struct{ built []string }

func (k *testKernels) find(name string) (kernels.Kernel, error) {
	switch name {
	case "here":
		return kernels.Kernel{Release: name}, nil
	case "source":
		return kernels.Kernel{}, fmt.Errorf("source: %w", &kernels.NoArchiveError{Recipe: kernels.Recipe{Source: "5.10", Without: []string{"fix"}}})
	}
	return kernels.Kernel{}, errors.New("no network")
}

func (k *testKernels) build(recipe kernels.Recipe) (kernels.Kernel, error) {
	k.built = append(k.built, recipe.Name())
	return kernels.Kernel{Release: recipe.Name()}, nil
}

// A kernel that is on no mirror is left out where it was not asked for, or built.
func TestMatrixWithoutArchive(t *testing.T) {
	for _, tt := range []struct {
		flags   matrixFlags
		columns string
		want    string // releases; "": an error
		built   string
	}{
		{matrixFlags{}, "here source", "here", ""},
		{matrixFlags{build: true}, "here source", "here 5.10-without-fix", "5.10-without-fix"},
		{matrixFlags{build: true, kernels: []string{"source"}}, "source", "5.10-without-fix", "5.10-without-fix"},
		{matrixFlags{kernels: []string{"here", "source"}}, "here source", "", ""},
		{matrixFlags{}, "source", "", ""},
		{matrixFlags{build: true}, "here elsewhere", "", ""},
	} {
		var columns []matrix.Column
		for name := range strings.FieldsSeq(tt.columns) {
			columns = append(columns, matrix.Column{Name: name})
		}
		var from testKernels
		found, err := tt.flags.withKernels(columns, &from)
		var got []string
		for _, column := range found {
			got = append(got, column.Kernel.Release)
		}
		if strings.Join(got, " ") != tt.want || (err == nil) != (tt.want != "") || strings.Join(from.built, " ") != tt.built {
			t.Errorf("%s with %+v: %q, built %q, %v", tt.columns, tt.flags, got, from.built, err)
		}
	}
}

func TestMatrixCommand(t *testing.T) {
	args := matrixCommand("/bin/umemstress", "rdma/ext4/none/none", "/srv/out/5.10/x")
	var f runFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.register(flags)
	if err := flags.Parse(args[2:]); err != nil {
		t.Fatal(err)
	}
	options, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	if got := options.Scenario.String(); got != "rdma/ext4/none/none" {
		t.Errorf("scenario %s", got)
	}
	if options.Output != "/srv/out/5.10/x" || options.Observe != "require" || options.FileBytes != 4<<20 {
		t.Errorf("options %+v", options)
	}
}

// What runs over soft-iWARP is the same of the device that is made for it, connected by the manager.
func TestMatrixCommandOverSiw(t *testing.T) {
	args := matrixCommand("/bin/umemstress", "rdma-siw/xfs/none/none", "/srv/out/x")
	at := slices.Index(args, "/bin/umemstress")
	if at != 4 || args[2] != matrix.WithSiw {
		t.Fatalf("%q", args)
	}
	var f runFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.register(flags)
	if err := flags.Parse(args[at+2:]); err != nil {
		t.Fatal(err)
	}
	o, err := f.options()
	if err != nil || o.Scenario.String() != "rdma/xfs/none/none" || o.Device != matrix.SiwDevice || !o.Manager {
		t.Errorf("%+v, %v", o, err)
	}
}

// A kernel that was built without soft-iWARP has its other cells.
func TestMatrixWithoutSiw(t *testing.T) {
	column := matrix.Column{Name: "here", Cells: []matrix.Expectation{{Scenario: "rdma-siw/xfs/none/none"}, {Scenario: "rdma/xfs/none/none"}}}
	column.Kernel.Modules = filepath.Join(t.TempDir(), "lib/modules/1.0")
	if err := os.MkdirAll(column.Kernel.Modules, 0o755); err != nil {
		t.Fatal(err)
	}
	left, err := withoutSiw(column)
	if err != nil || len(left.Cells) != 1 || left.Cells[0].Scenario != "rdma/xfs/none/none" || len(column.Cells) != 2 {
		t.Errorf("%+v, %v; of %+v", left.Cells, err, column.Cells)
	}
}

// Every expectation is of a scenario that makes sense.
func TestExpectationsAreOfScenarios(t *testing.T) {
	expectations, err := matrix.Expected()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range expectations {
		known, _ := matrix.OverSiw(e.Scenario)
		if _, err := workload.Scenarios().Parse(known); err != nil {
			t.Errorf("%s: %v", e.Kernel, err)
		}
	}
}
