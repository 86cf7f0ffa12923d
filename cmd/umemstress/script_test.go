package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program itself as testdata/script says, on the host and in
// guests.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// The evidence of a run goes where the script is, and nothing to the user's cache.
			env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/.cache")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "rxe" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			_, err := os.Stat("/sys/class/infiniband/rxe0") // the lab's guests have it
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"json":  jsonField,
		},
	})
}

// exits CODE[,CODE]... PROGRAM [ARG]... runs the program, which ends with one of the
// exit codes.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE[,CODE]... PROGRAM [ARG]...")
	}
	var failed *exec.ExitError
	code := 0
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if !slices.Contains(strings.Split(args[0], ","), fmt.Sprint(code)) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// json FIELD[.FIELD]... VALUE looks at a field of the last program's output, which is one
// JSON document. Without a value, the field must only be there.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: [!] json FIELD[.FIELD]... [VALUE]")
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile("stdout"))))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		ts.Fatalf("stdout: %v", err)
	}
	if decoder.More() {
		ts.Fatalf("stdout has more than one document")
	}
	found := true
	for _, field := range strings.Split(args[0], ".") {
		object, _ := value.(map[string]any)
		if value, found = object[field]; !found {
			break
		}
	}
	if len(args) == 2 {
		found = found && fmt.Sprint(value) == args[1]
	}
	if found == neg {
		ts.Fatalf("%s is %v", args[0], value)
	}
}
