//go:build !guest

// These tests look at the code alone, and go list takes long in a guest.

package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// layers are all packages, from the top down: each may import what stands below it.
// The README's map tells what is in them.
var layers = []string{
	"cmd/umemstress",
	"cmd/umemstress/internal/job",
	"cmd/umemstress/internal/meeting",
	"cmd/umemstress/internal/both",
	"cmd/umemstress/internal/cells",
	"cmd/umemstress/internal/logfile",
	"cmd/umemstress/internal/cireport",
	"cmd/umemstress/internal/status",
	"cmd/umemstress/internal/perftable",
	"cmd/umemstress/internal/observing",
	"cmd/umemstress/internal/provoking",
	"cmd/umemstress/internal/lending",
	"cmd/umemstress/internal/peering",
	"cmd/umemstress/internal/reporting",
	"cmd/umemstress/internal/rotating",
	"cmd/umemstress/internal/handover",
	"cmd/umemstress/internal/manual",
	"cmd/umemstress/internal/exit",
	"cmd/umemstress/internal/completion",
	"cmd/umemstress/internal/bytesize",
	"cmd/umemstress/internal/signals",
	"cmd/umemstress/internal/check",
	"cmd/umemstress/internal/devicecheck",
	"soft-roce/faults",
	"soft-roce/lab/compare",
	"soft-roce/lab/matrix",
	"soft-roce/lab/build",
	"soft-roce/lab",
	"soft-roce/lab/machine",
	"soft-roce/lab/kernels",
	"soft-roce/lab/kernels/image",
	"soft-roce/lab/kernels/dotconfig",
	"soft-roce/lab/guest",
	"soft-roce/lab/internal/labtest",
	"soft-roce/lab/internal/page",
	"soft-roce/lab/internal/proto",
	"soft-roce/lab/internal/host",
	"soft-roce/link",
	"soft-roce/leaktest",
	"probes/journal",
	"probes/metrics",
	"probes/observe",
	"probes/kernellog",
	"probes",
	"workload",
	"workload/provoke",
	"workload/holder/umem",
	"workload/holder/umem/remote",
	"workload/holder/umem/end",
	"workload/holder/dio",
	"workload/holder/vmwritev",
	"workload/holder/vmci",
	"workload/holder/nfs",
	"workload/holder/aio",
	"workload/holder/uring",
	"workload/holder/fuse",
	"workload/holder/v9fs",
	"workload/holder/v4l2",
	"workload/holder/xdp",
	"workload/holder/holdertest",
	"workload/holder",
	"workload/latency",
	"workload/danger",
	"workload/strip",
	"workload/mutation",
	"workload/folio",
	"workload/filesystem",
	"workload/payload",
	"workload/witness",
	"workload/evidence",
	"workload/report/mail",
	"workload/report",
	"workload/report/ci",
	"workload/triage",
	"workload/remedy",
	"workload/record",
	"workload/scenario",
	"workload/internal/userfault",
	"workload/internal/hog",
	"workload/internal/keeper",
	"workload/internal/promise",
	"workload/internal/mortal",
	"workload/internal/cgroup",
	"workload/internal/nfsd",
	"workload/internal/lateshare",
	"workload/late",
	"workload/internal/fused",
	"workload/internal/p9d",
	"workload/internal/lateread",
	"workload/internal/mount",
	"workload/internal/gated",
	"workload/internal/block",
	"workload/internal/module",
	"workload/internal/memory",
	"workload/internal/file",
	"workload/internal/fault",
	"workload/internal/printable",
	"workload/child",
	"workload/internal/worktest",
	"probes/mapped",
	"probes/privileges",
	"probes/lockdown",
	"probes/deferred",
	"probes/memlock",
	"probes/naming",
	"probes/event",
	"probes/kmsg/devkmsg",
	"probes/kmsg",
	"rdma",
	"rdma/counters",
	"rdma/abitest",
	"rdma/providertest",
	"rdma/internal/softroce",
	"rdma/internal/ibverbs",
	"rdma/internal/verbs/verbstest",
	"rdma/internal/uverbs",
	"rdma/internal/rxe",
	"rdma/internal/verbs",
	"rdma/internal/uapi",
	"workload/meminfo",
	"workload/unnamed",
}

// pure are packages that judge and render what may come from another machine: they ask
// nothing of this one.
var pure = []string{"workload/record", "workload/scenario", "workload/report", "workload/report/ci", "workload/report/mail", "workload/triage", "workload/remedy", "workload/internal/fault", "workload/internal/printable", "probes/event", "probes/kmsg"}

// impure is what a pure package does without.
var impure = []string{"os", "syscall", "net", "unsafe", "io/ioutil", "golang.org/x/sys/unix"}

// apart are packages that do not know of each other, though one stands above the other.
var apart = []string{"workload/holder/umem", "workload/holder/dio", "workload/holder/vmwritev", "workload/holder/vmci", "workload/holder/nfs", "workload/holder/aio", "workload/holder/uring", "workload/holder/fuse", "workload/holder/v9fs", "workload/holder/v4l2", "workload/holder/xdp"}

// forTests are packages that the tests of any other may import.
var forTests = []string{"soft-roce/leaktest", "rdma/abitest", "rdma/providertest"}

// shownAbove are packages whose own tests import what stands above them: they judge what that wrote.
var shownAbove = map[string][]string{"workload/triage": {"workload", "workload/report"}}

// tags are all that files of ours are built by. No list of them sees all files: each is taken
// alone, and all together.
var tags = []string{"guest", "lab", "faults", "ibverbs", "manual"}

// maxFiles is how many files a package has at most; one with more answers more than one
// question.
const maxFiles = 20

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string // but those of tests
	Imports    []string // of these

	TestImports  []string
	XTestImports []string // of tests in a package of their own
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, "umemstress/") }

// listed are the packages as all tags together make them.
func listed(t *testing.T) []goPackage {
	t.Helper()
	packages, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

var listOnce = sync.OnceValues(func() ([]goPackage, error) {
	all := map[string]goPackage{}
	for _, with := range slices.Concat([]string{"", strings.Join(tags, ",")}, tags) {
		packages, err := listWith(with)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			known := all[p.ImportPath]
			if len(known.GoFiles) > len(p.GoFiles) { // of one program: others have other files in their place
				p.GoFiles = known.GoFiles
			}
			p.Imports = union(known.Imports, p.Imports)
			p.TestImports, p.XTestImports = union(known.TestImports, p.TestImports), union(known.XTestImports, p.XTestImports)
			all[p.ImportPath] = p
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b goPackage) int { return strings.Compare(a.ImportPath, b.ImportPath) }), nil
})

func union(a, b []string) []string {
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}

func listWith(tags string) ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-tags", tags, "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -tags %s: %w", tags, err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}

func TestImportsPointDown(t *testing.T) {
	packages := listed(t)
	for _, layer := range layers {
		if !slices.ContainsFunc(packages, func(p goPackage) bool { return p.name() == layer }) {
			t.Errorf("there is no package %s", layer)
		}
	}
	for _, p := range packages {
		layer := slices.Index(layers, p.name())
		if layer < 0 {
			t.Errorf("%s has no place in the layers", p.name())
			continue
		}
		for _, path := range p.Imports {
			name, ours := strings.CutPrefix(path, "umemstress/")
			if ours && slices.Index(layers, name) <= layer {
				t.Errorf("%s imports %s, which stands above it", p.name(), name)
			}
			if ours && slices.Contains(apart, p.name()) && slices.Contains(apart, name) {
				t.Errorf("%s imports %s: holders share through workload/holder alone", p.name(), name)
			}
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			name, ours := strings.CutPrefix(path, "umemstress/")
			above := ours && name != p.name() && slices.Index(layers, name) < layer
			if above && !slices.Contains(forTests, name) && !(slices.Contains(p.XTestImports, path) && slices.Contains(shownAbove[p.name()], name)) {
				t.Errorf("a test of %s imports %s, which stands above it", p.name(), name)
			}
		}
		if len(p.GoFiles) > maxFiles {
			t.Errorf("%s has %d files; %d are the most", p.name(), len(p.GoFiles), maxFiles)
		}
	}
}

// A file that is built by a tag that nobody lists is seen by no test of the layout and by no linter.
func TestTagsAreKnown(t *testing.T) {
	known := map[string]bool{}
	sources(t, ".", true, func(name string, position func(ast.Node) token.Position, file *ast.File) {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if !constraint.IsGoBuild(comment.Text) || group.Pos() > file.Package {
					continue
				}
				expr, err := constraint.Parse(comment.Text)
				if err != nil {
					t.Errorf("%v: %v", position(comment), err)
					continue
				}
				expr.Eval(func(tag string) bool {
					if !slices.Contains(tags, tag) && tag != "amd64" && tag != "386" {
						t.Errorf("%v: no list has the tag %s", position(comment), tag)
					}
					known[tag] = true
					return false
				})
			}
		}
	})
	for _, tag := range tags {
		if !known[tag] {
			t.Errorf("no file is built by %s", tag)
		}
	}
	config, err := os.ReadFile("../../.golangci.yml")
	if want := "build-tags: [guest, lab, faults, ibverbs]"; err != nil || !strings.Contains(string(config), want) {
		t.Errorf(".golangci.yml has no %s: %v", want, err)
	}
}

func TestPurePackages(t *testing.T) {
	packages := listed(t)
	for _, name := range pure {
		at := slices.IndexFunc(packages, func(p goPackage) bool { return p.name() == name })
		if at < 0 {
			t.Errorf("there is no package %s", name)
			continue
		}
		for _, path := range packages[at].Imports {
			if slices.Contains(impure, path) || strings.HasPrefix(path, "os/") || strings.HasPrefix(path, "net/") {
				t.Errorf("%s imports %s, and is to be the same on every machine", name, path)
			}
			if below, ours := strings.CutPrefix(path, "umemstress/"); ours && !slices.Contains(pure, below) {
				t.Errorf("%s imports %s, which is not pure", name, below)
			}
		}
	}
}

// The probes are handed to a run, so that who has none of BPF can still make and judge one.
func TestRunKnowsNoProbes(t *testing.T) {
	for _, p := range listed(t) {
		if strings.HasPrefix(p.name(), "workload") && slices.Contains(p.Imports, "umemstress/probes") {
			t.Errorf("%s imports probes", p.name())
		}
	}
}
