//go:build !guest

// These tests look at the code alone, and go list takes long in a guest.

package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are all packages, from the top down: each may import what stands below it.
// The README's map tells what is in them.
var layers = []string{
	"cmd/umemstress",
	"cmd/umemstress/internal/check",
	"cmd/umemstress/internal/devicecheck",
	"cmd/umemstress/internal/cells",
	"cmd/umemstress/internal/logfile",
	"cmd/umemstress/internal/cireport",
	"cmd/umemstress/internal/status",
	"cmd/umemstress/internal/perftable",
	"cmd/umemstress/internal/observing",
	"cmd/umemstress/internal/provoking",
	"cmd/umemstress/internal/peering",
	"cmd/umemstress/internal/reporting",
	"cmd/umemstress/internal/rotating",
	"cmd/umemstress/internal/handover",
	"cmd/umemstress/internal/manual",
	"cmd/umemstress/internal/exit",
	"cmd/umemstress/internal/completion",
	"cmd/umemstress/internal/bytesize",
	"cmd/umemstress/internal/signals",
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
	"workload/holder/v4l2",
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
	"workload/internal/cgroup",
	"workload/internal/nfsd",
	"workload/internal/fused",
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
	"probes/event",
	"probes/kmsg/devkmsg",
	"probes/kmsg",
	"rdma",
	"rdma/abitest",
	"rdma/internal/softroce",
	"rdma/internal/ibverbs",
	"rdma/internal/verbs/verbstest",
	"rdma/internal/verbs",
	"rdma/internal/uverbs",
	"rdma/internal/rxe",
	"rdma/internal/uapi",
	"internal/meminfo",
	"internal/unnamed",
}

// pure are packages that judge and render what may come from another machine: they ask
// nothing of this one.
var pure = []string{"workload/record", "workload/scenario", "workload/report", "workload/report/ci", "workload/report/mail", "workload/triage", "workload/remedy", "workload/internal/fault", "workload/internal/printable", "probes/event", "probes/kmsg"}

// impure is what a pure package does without.
var impure = []string{"os", "syscall", "net", "unsafe", "io/ioutil", "golang.org/x/sys/unix"}

// apart are packages that do not know of each other, though one stands above the other.
var apart = []string{"workload/holder/umem", "workload/holder/dio", "workload/holder/vmwritev", "workload/holder/vmci", "workload/holder/nfs", "workload/holder/aio", "workload/holder/uring", "workload/holder/fuse", "workload/holder/v4l2"}

// maxFiles is how many files a package has at most; one with more answers more than one
// question.
const maxFiles = 20

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // without those of tests
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, "umemstress/") }

func listed(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
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
		if len(p.GoFiles) > maxFiles {
			t.Errorf("%s has %d files; %d are the most", p.name(), len(p.GoFiles), maxFiles)
		}
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
