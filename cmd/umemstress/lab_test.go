package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
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
	// The evidence of a run, and the console of one that never began.
	old, crashed := t.TempDir(), t.TempDir()
	console := []byte("Kernel panic - not syncing: the one copy\n")
	for _, dir := range []string{old, crashed} {
		if err := os.WriteFile(filepath.Join(dir, "serial.log"), console, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(old, "run.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		args string
		says string
	}{
		{"lab exec", "which program?"},
		{"lab exec --nosuch -- true", "unknown flag: --nosuch"},
		{"lab exec --kernel latest -- true", `no kernel is called "latest"`},
		{"lab exec --kernel none.deb -- true", "none.deb: no such file"},
		{"lab exec --kernel " + file + " --modules /nowhere -- true", "--modules /nowhere: there is no such directory"},
		{"lab run --kernel 5.10 --modules /usr", "--kernel 5.10: with --modules it is the file of a kernel's image"},
		{"lab run --kernel 5.10,6.1", "a guest has one kernel"},
		{"lab run --kernel 5.10 --kernel a.deb", "a guest has one kernel"},
		{"lab run --kernel a.deb --modules /usr", "a package has its modules"},
		{"lab exec --kernel= -- true", "--kernel: its value is empty"},
		{"lab exec --kernel a.deb,,b.deb -- true", "--kernel: its value is empty"},
		{"lab kernels --fetch 5.10,", "--fetch: its value is empty"},
		{"lab exec --modules= -- true", "--modules: its value is empty"},
		{"lab exec --serial= -- true", "--serial: its value is empty"},
		{"lab exec --share= -- true", "--share: its value is empty"},
		{"lab exec --env= -- true", "--env: its value is empty"},
		{"lab exec --env FOO -- true", `--env "FOO": write NAME=VALUE`},
		{"lab exec --env =x -- true", `--env "=x"`},
		{"lab exec --timeout -1s -- true", "--timeout -1s"},
		{"lab exec --memory 9999999 -- true", "this host has"},
		{"lab exec --memory 9223372036854775807 -- true", "--memory 9223372036854775807"},
		{"lab exec --memory 0 -- true", "--memory 0"},
		{"lab exec --memory -1 -- true", "--memory -1"},
		{"lab exec --cpus 0 -- true", "--cpus 0"},
		{"lab exec --disk 99999999999 -- true", "a scratch disk of 99999999999 MiB"},
		{"lab run -- --file-size 1Q", "--file-size"},
		{"lab run -- --scenario foo", "foo"},
		{"lab run -- --holder sctp", "sctp"},
		{"lab run -- --format yaml", "--format yaml"},
		{"lab run -- --iters -1", "--iters -1"},
		{"lab run -- --preset nosuch", "nosuch"},
		{"lab run -- --output=", "--output: its value is empty"},
		{"lab run -- -o " + old, "it already holds the evidence of a run"},
		{"lab run --timeout 1ns -- -o " + old, "it already holds the evidence of a run"},
		{"lab run -- -o " + crashed, "it is not empty"},
		{"lab kernels --fetch=", "--fetch: its value is empty"},
		{"lab run rdma", "run's own flags follow --"},
		{"lab run -- --nosuch", "unknown flag: --nosuch"},
		{"lab run --kernel latest", `no kernel is called "latest"`},
		{"lab kernels --fetch latest", `no kernel is called "latest"`},
		{"lab kernels --format yaml", "yaml"},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(tt.args), &stdout, &stderr)
		if code != exit.Usage || !strings.Contains(stderr.String(), tt.says) || stdout.Len() != 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q; want %d and %q",
				tt.args, code, stderr.String(), stdout.String(), exit.Usage, tt.says)
		}
	}
	for _, dir := range []string{old, crashed} {
		if got, err := os.ReadFile(filepath.Join(dir, "serial.log")); err != nil || !bytes.Equal(got, console) {
			t.Errorf("%s/serial.log is now %q, %v", dir, got, err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Ctrl-C while a kernel is fetched is told in a person's word.
func TestLabInterrupted(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(kernels.PackageDirEnv, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := execute(ctx, []string{"lab", "kernels", "--fetch", "5.10"}, &stdout, &stderr)
	if code != exit.Interrupted || !strings.HasSuffix(stderr.String(), "umemstress: interrupted\n") {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}

// Without a place for kernels the host lacks something, and nobody asks the mirror.
func TestLabWithoutHome(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", filepath.Join(t.TempDir(), "absent"))
	for _, args := range []string{"lab kernels", "lab kernels --fetch 5.10", "lab exec -- true"} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(args), &stdout, &stderr)
		if code != exit.HostLacks || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "set HOME or XDG_CACHE_HOME") {
			t.Errorf("%s: exit code %d, %q", args, code, stderr.String())
		}
	}
}

func TestLabKernelConfig(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"lab", "config"}, &stdout, &stderr); code != exit.Clean || !strings.Contains(stdout.String(), "\nCONFIG_9P_FS=y\n") {
		t.Errorf("exit code %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

func TestLabKernelsLists(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"lab", "kernels"}, &stdout, &stderr); code != exit.Clean {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, name := range []string{"5.10", "6.1", "6.12", "trixie", "sid"} {
		if !strings.Contains(stdout.String(), "\n"+name+" ") {
			t.Errorf("%s is not listed:\n%s", name, stdout.String())
		}
	}
}

func TestNewLabRun(t *testing.T) {
	wd := t.TempDir()
	t.Chdir(wd)
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
		run, err := newLabRun(cmd, cmd.Flags().Args(), 1)
		if err != nil {
			t.Fatal(err)
		}
		program, evidence := run.program, run.dir
		if tt.evidence != "" && evidence != tt.evidence || !filepath.IsAbs(evidence) {
			t.Errorf("%s: evidence in %s, want %s", tt.args, evidence, tt.evidence)
		}
		if want := append(tt.tail, "--output="+evidence); !slices.Equal(program[1:], want) {
			t.Errorf("%s: the guest runs %q, want %q", tt.args, program[1:], want)
		}
	}
}
