// Package child starts the processes that a run needs beside itself: copies of its own
// program, and shells that undo what it did to the machine, however it ends.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
)

// marker is the environment variable that names what a copy of this program is to
// be instead of itself.
const marker = "UMEMSTRESS_CHILD"

// Main is what a copy of this program does instead of its own main function.
type Main func(args []string, in io.Reader, out io.Writer) error

// ready is set once this program can be started as a child.
var ready atomic.Bool

// RunIfChild runs the main function that this process was started for, and exits; in any
// other process it returns, and copies can be started from then on.
func RunIfChild(mains map[string]Main) {
	name, child := os.LookupEnv(marker)
	if !child {
		ready.Store(true)
		return
	}
	os.Unsetenv(marker) // its own children are none
	if err := runChild(mains, name, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runChild(mains map[string]Main, name string, args []string) error {
	do, known := mains[name]
	if !known || len(args) < 2 {
		return fmt.Errorf("%s=%q in the environment: this program has no such child; unset it", marker, name)
	}
	return do(args[2:], os.Stdin, os.Stdout)
}

// errNotReady keeps a program from running itself over and over.
var errNotReady = errors.New("this program cannot start copies of itself: its main function has to call workload.RunChild before anything else")

// Command is a copy of this program as the named child. The name is also its first
// argument, for ps.
func Command(name string, args ...string) (*exec.Cmd, error) {
	if !ready.Load() {
		return nil, errNotReady
	}
	cmd := exec.Command("/proc/self/exe", append([]string{name}, args...)...)
	cmd.Env = append(os.Environ(), marker+"="+name)
	return cmd, nil
}

// Script are the lines of a shell that becomes a copy of this program, its descriptor
// 3, as the named child.
func Script(name, args string) string {
	return fmt.Sprintf("export %s=%s; exec /proc/self/fd/3 %s %s", marker, name, name, args)
}
