package observe

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Pinner is a process that had memory pinned for long when observe began: by RDMA, VFIO, io_uring
// or whatever else counts it as VmPin (mm.pinned_vm), also what of it is of no file.
type Pinner struct {
	PID   uint32 `json:"pid"`
	Comm  string `json:"comm"`
	Bytes uint64 `json:"bytes"`
}

// maxPinners is how many are told of.
const maxPinners = 100

// pinners are the processes with pinned memory, those with the most first.
func pinners(proc string) []Pinner {
	files, _ := filepath.Glob(filepath.Join(proc, "[1-9]*", "status")) // an error: of the pattern
	var found []Pinner
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		pid, err := strconv.ParseUint(filepath.Base(filepath.Dir(file)), 10, 32)
		if p := pinner(string(text)); err == nil && p.Bytes > 0 {
			p.PID = uint32(pid)
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Pinner) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.PID, b.PID)) })
	return found[:min(len(found), maxPinners)]
}

// pinner reads a process's status (fs/proc/array.c, task_mmu.c): its name and VmPin, in KiB.
func pinner(status string) (p Pinner) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); name {
		case "Name":
			p.Comm = value
		case "VmPin":
			kib, err := strconv.ParseUint(strings.TrimSuffix(value, " kB"), 10, 54)
			if err == nil {
				p.Bytes = kib << 10
			}
		}
	}
	return p
}

// pinnersText names those with the most.
func pinnersText(list []Pinner) string {
	if len(list) == 0 {
		return ""
	}
	var names []string
	for _, p := range list[:min(len(list), 5)] {
		names = append(names, fmt.Sprintf("%s[%d] %d KiB", printable(p.Comm), p.PID, p.Bytes>>10))
	}
	if more := len(list) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return "pinned before, of files or not: " + strings.Join(names, ", ") + "\n"
}
