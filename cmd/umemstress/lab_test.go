package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/kernels"
)

// TestLabBadInput has no case that gets as far as a guest or the mirror.
func TestLabBadInput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(kernels.PackageDirEnv, "")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		says string
	}{
		{"lab exec", "which program?"},
		{"lab exec --nosuch -- true", "unknown flag: --nosuch"},
		{"lab exec --kernel latest -- true", `no kernel is called "latest"`},
		{"lab exec --kernel none.deb -- true", "none.deb: no such file"},
		{"lab exec --kernel " + file + " --modules /nowhere -- true", "/nowhere: no such file"},
		{"lab run rdma", "run's own flags follow --"},
		{"lab run -- --nosuch", "unknown flag: --nosuch"},
		{"lab run --kernel latest", `no kernel is called "latest"`},
		{"lab kernels --fetch latest", `no kernel is called "latest"`},
		{"lab kernels --format yaml", "yaml"},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(tt.args), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), tt.says) || stdout.Len() != 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q; want %d and %q",
				tt.args, code, stderr.String(), stdout.String(), exitUsage, tt.says)
		}
	}
}

func TestLabKernelsLists(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"lab", "kernels"}, &stdout, &stderr); code != exitClean {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, name := range []string{"5.10", "6.1", "6.12", "trixie", "sid"} {
		if !strings.Contains(stdout.String(), "\n"+name+" ") {
			t.Errorf("%s is not listed:\n%s", name, stdout.String())
		}
	}
}

func TestLabRunProgram(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args     string
		evidence string // empty: named after the time
		tail     []string
	}{
		{"-- -o ev --seed 7", filepath.Join(wd, "ev"), []string{"run", "-o", "ev", "--seed", "7"}},
		{"-- --output=/srv/ev", "/srv/ev", []string{"run", "--output=/srv/ev"}},
		{"-v", "", []string{"run", "--verbose=true"}},
	} {
		root := newRootCommand()
		cmd, rest, err := root.Find(append([]string{"lab", "run"}, strings.Fields(tt.args)...))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Fatal(err)
		}
		program, evidence, err := labRunProgram(cmd, cmd.Flags().Args())
		if err != nil {
			t.Fatal(err)
		}
		if tt.evidence != "" && evidence != tt.evidence || !filepath.IsAbs(evidence) {
			t.Errorf("%s: evidence in %s, want %s", tt.args, evidence, tt.evidence)
		}
		if want := append(tt.tail, "--output="+evidence); !slices.Equal(program[1:], want) {
			t.Errorf("%s: the guest runs %q, want %q", tt.args, program[1:], want)
		}
	}
}
