// Package counters reads what a port of an RDMA device counts: packets, and what went wrong with them.
package counters

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// places are the directories of a port that have a file for each: the driver's own, and those of the specification.
// drivers/infiniband/core/sysfs.c.
var places = []string{"hw_counters", "counters"}

// settings are files of hw_counters that count nothing: lifespan is how long the kernel keeps values, in milliseconds.
var settings = []string{"lifespan"}

// Counters are values by their names, such as completer_retry_err of rdma_rxe or local_ack_timeout_err of mlx5.
type Counters map[string]uint64

// Read reads those of a port, below a sysfs root. What cannot be read is left out: drivers have others, or none. Those of the
// driver are as of up to so many milliseconds before as its hw_counters/lifespan has: 12 with rdma_rxe.
func Read(sysfs, device string, port int) Counters {
	read := Counters{}
	for _, place := range places {
		dir := filepath.Join(sysfs, "class/infiniband", device, "ports", strconv.Itoa(port), place)
		files, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				continue
			}
			if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && !slices.Contains(settings, f.Name()) {
				read[f.Name()] = n
			}
		}
	}
	return read
}

// Since are those that have risen, by how much.
func (c Counters) Since(before Counters) Counters {
	risen := Counters{}
	for name, n := range c {
		if n > before[name] {
			risen[name] = n - before[name]
		}
	}
	return risen
}

// String lists them, the smallest first: packets that came as they should are the most.
func (c Counters) String() string {
	names := slices.SortedFunc(maps.Keys(c), func(a, b string) int { return cmp.Or(cmp.Compare(c[a], c[b]), cmp.Compare(a, b)) })
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%s %d", name, c[name]))
	}
	return strings.Join(all, ", ")
}
