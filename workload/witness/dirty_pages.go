package witness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Dirty is what the kernel counts of the whole machine, in pages.
type Dirty struct {
	Pages uint64 // that are dirty, or count as that: nr_dirty of /proc/vmstat
	Limit uint64 // where writers are held up until some are written back: nr_dirty_threshold
}

// Full tells whether writers are held up.
func (d Dirty) Full() bool { return d.Pages >= d.Limit }

// CountDirty asks the kernel.
func CountDirty() (Dirty, error) {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return Dirty{}, err
	}
	return parseDirty(string(data))
}

func parseDirty(vmstat string) (d Dirty, err error) {
	for name, value := range map[string]*uint64{"nr_dirty": &d.Pages, "nr_dirty_threshold": &d.Limit} {
		_, rest, found := strings.Cut("\n"+vmstat, "\n"+name+" ")
		if !found {
			return Dirty{}, fmt.Errorf("/proc/vmstat has no %s", name)
		}
		number, _, _ := strings.Cut(rest, "\n")
		if *value, err = strconv.ParseUint(number, 10, 64); err != nil {
			return Dirty{}, fmt.Errorf("/proc/vmstat: %s: %w", name, err)
		}
	}
	return d, nil
}
