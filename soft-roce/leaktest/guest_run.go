//go:build guest

package leaktest

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// patience is how long what was left behind may take to go: a device-mapper device is
// removed with its last user, and a killed process is cleaned up after by another.
const patience = 20 * time.Second

// Run runs the tests and returns their exit code, or 1 if they pass and leave something
// behind.
func Run(m M) int { return run(m, os.Stderr, patience) }

func run(m M, stderr io.Writer, patience time.Duration) int {
	before, err := Look()
	if err != nil {
		fmt.Fprintf(stderr, "leaktest: before the tests: %v\n", err)
		return 1
	}
	code := m.Run()
	leaks, err := before.Leaks(patience)
	if err != nil {
		leaks = append(leaks, fmt.Sprintf("after the tests: %v", err))
	}
	for _, leak := range leaks {
		fmt.Fprintf(stderr, "leaktest: %s\n", leak)
	}
	if code == 0 && len(leaks) > 0 {
		return 1
	}
	return code
}

// Between two looks. One takes an emulated processor 25 to 250 ms, which whoever is to clean up
// wants to have meanwhile.
const (
	soon  = 10 * time.Millisecond
	later = 320 * time.Millisecond
)

// Leaks waits until nothing is left that was not there before, and says what is all the
// same when the patience is at its end.
func (before State) Leaks(patience time.Duration) ([]string, error) {
	pause := soon
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		after, err := Look()
		if err != nil {
			return nil, err
		}
		found := before.compare(after)
		if len(found) == 0 || time.Now().After(deadline) {
			return found, nil
		}
		if slices.IndexFunc(found, func(leak string) bool { return !libraryMemory(leak) }) < 0 {
			runtime.GC()
		}
		pause = min(2*pause, later)
	}
}

// libraryMemory says whether it is a map that the collector may still have to unmap: nobody else can take from a
// process the memory that cilium/ebpf has mapped for the variables of programs (ebpf.Memory). Where that is all that is left, the
// collector is asked to; else not, since it would close descriptors, too, that somebody has forgotten.
func libraryMemory(leak string) bool {
	return strings.HasPrefix(leak, "BPF map ") && (strings.Contains(leak, " (.bss, ") || strings.Contains(leak, " (.rodata, "))
}
