package observe

import (
	"fmt"
	"os"
	"strings"
)

// Proc is where procfs is mounted on a live system.
const Proc = "/proc"

// Begun tells when a process began: field 22 of /proc/PID/stat (proc(5)), in ticks since boot. proc
// is where procfs is mounted.
func Begun(proc string, pid uint32) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", proc, pid))
	if err != nil {
		return "", err
	}
	// The name before may hold anything, also brackets.
	_, fields, _ := strings.Cut(string(text[max(0, strings.LastIndexByte(string(text), ')')):]), ") ")
	if list := strings.Fields(fields); len(list) > 19 {
		return list[19], nil
	}
	return "", fmt.Errorf("%s/%d/stat does not say when the process began", proc, pid)
}
