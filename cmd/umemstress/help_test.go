package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"

	"umemstress/workload"
	"umemstress/workload/scenario"
)

// Help fits a terminal, of every command.
func TestHelpIsNarrow(t *testing.T) {
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		var out, log bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if code := execute(t.Context(), args, &out, &log); code != exit.Clean {
			t.Errorf("%q: exit code %d: %s", args, code, log.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(line)) - 1; n > helpColumns && !strings.HasPrefix(line, "  umemstress ") { // not an example
				t.Errorf("%q: %d columns: %s", args, n, line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" { // cobra's own
				look(sub)
			}
		}
	}
	look(newRootCommand())
}

// completed is what a shell is offered for a command line, with the last word begun.
func completed(t *testing.T, args ...string) string {
	t.Helper()
	var out, log bytes.Buffer
	if code := execute(t.Context(), append([]string{cobra.ShellCompRequestCmd}, args...), &out, &log); code != exit.Clean {
		t.Fatalf("%q: exit code %d: %s", args, code, log.String())
	}
	return out.String()
}

// The values of flags are completed, with what they are, and nothing is offered where no
// value is known but a number or a text.
func TestCompletion(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	const noFiles, anyFile, directories = ":4\n", ":0\n", ":16\n"
	for _, part := range scenario.Parts() {
		got := completed(t, "run", "--"+string(part), "")
		for _, c := range workload.Scenarios().Choices(part) {
			if !strings.Contains(got, c.Name+"\t"+c.What+"\n") {
				t.Errorf("--%s: %s is not offered: %s", part, c.Name, got)
			}
		}
	}
	for line, want := range map[string][]string{
		"run --preset ":                           {"quick\t", "everything\t", noFiles},
		"run --preset cu":                         {"customer\t", noFiles},
		"run --scenario rdma/xfs/none/re":         {"rdma/xfs/none/reflink\t", noFiles},
		"run --observe ":                          {"auto\n", "off\n", "require\n", noFiles},
		"run --format ":                           {"text\n", "json\n", noFiles},
		"run --log-format j":                      {"json\n", noFiles},
		"run --mutator ":                          {"self\n", "child\n", noFiles},
		"run --ib-dev ":                           {noFiles},
		"run --qp ":                               {noFiles},
		"run --file ":                             {anyFile},
		"run --output ":                           {directories},
		"soft-roce up --netdev l":                 {"lo\n", noFiles},
		"lab run --kernel 5":                      {"5.10\n", anyFile},
		"lab matrix --kernels 5.10,6.":            {"5.10,6.1\n", "5.10,6.12\n", noFiles},
		"lab matrix --only dio/btrfs/c":           {"dio/btrfs/cold/none\t", noFiles},
		"lab compare 5.10 6.":                     {"6.1\n", "6.12\n", anyFile},
		"lab compare --scenario rdma/xfs/none/re": {"rdma/xfs/none/reflink\t", noFiles},
		"lab kernels --fetch ":                    {"sid\n", noFiles},
		"lab bisect --bad da":                     {"data-lost\n", noFiles},
	} {
		words := strings.Split(line, " ")
		got := completed(t, words...)
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s: no %q in %q", line, text, got)
			}
		}
	}
	if entries, err := os.ReadDir(os.Getenv("XDG_CACHE_HOME")); err != nil || len(entries) > 0 {
		t.Errorf("completion made %v, %v", entries, err)
	}
}
