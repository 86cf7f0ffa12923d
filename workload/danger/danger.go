// Package danger says what on this machine would take it down if a run did to it what it is
// for.
package danger

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"umemstress/rdma"
	"umemstress/workload/filesystem"
	"umemstress/workload/scenario"
	"umemstress/workload/strip"
)

// A Danger is something of this machine that has a run take it down, or halt it.
type Danger struct {
	Name    string // a sysctl of the kernel, BugOn, BtrfsFixup, DirtyLimit or RxeAtomic
	Effect  string // what is so if it is Present, and what comes of it
	Present bool
	Unknown error // why it could not be found out: it is to be reckoned with then

	question string
}

// BugOn is the name of the danger that ext4's own code stops the kernel.
const BugOn = "BUG_ON"

// Real says whether a run has to reckon with it.
func (d Danger) Real() bool { return d.Present || d.Unknown != nil }

// String says what is so and what comes of it.
func (d Danger) String() string {
	if d.Unknown != nil {
		return fmt.Sprintf("%s could not be read (%v)", d.question, d.Unknown)
	}
	return d.Effect
}

// A Run is what is to be done to this machine. A part of the scenario that is empty is none of a danger's.
type Run struct {
	Scenario scenario.Scenario
	Dirty    uint64 // pages that counted as dirty before it
	Pages    uint64 // that it may lose
	Driver   string // of the device that brings the bytes
	Atomic   bool   // they come by atomic operations
}

// Find looks for what would take the machine down in such a run. It reads the running kernel's
// settings, its symbols, its types and its memory, never its version.
func Find(r Run) []Danger {
	dangers := []Danger{
		panicOn("panic_on_warn", "a warning of the kernel panics it"),
		panicOn("panic_on_oops", "an oops panics it"),
	}
	if kind, _ := scenario.Find(filesystem.Kinds(), r.Scenario.Filesystem); kind.DropsBufferless {
		survives, err := ext4Survives()
		dangers = append(dangers, Danger{
			Name: BugOn, Present: err == nil && !survives, Unknown: err,
			question: "whether ext4 has a BUG_ON for a page without buffers",
			Effect:   "this ext4 has a BUG_ON for a page without buffers (it lacks cc5095747edf)",
		}, dirtyLimit(r.Dirty, r.Pages))
	}
	s := r.Scenario
	if strips, _ := scenario.Find(strip.Kinds(), s.Strip); strips.Splits && s.Filesystem == "btrfs" && s.Folios != "single" {
		there, err := btrfsFixup()
		dangers = append(dangers, Danger{
			Name: BtrfsFixup, Present: there, Unknown: err,
			question: "whether this btrfs has " + fixupFunction,
			Effect:   "this btrfs (" + fixupFunction + ") oopses at the release of a large folio that " + s.Strip + " tried to split",
		})
	}
	if r.Atomic && r.Driver == rdma.DriverRxe {
		dangers = append(dangers, rxeAtomic())
	}
	return dangers
}

func panicOn(sysctl, effect string) Danger {
	d := Danger{
		Name:     sysctl,
		question: fmt.Sprintf("whether kernel.%s is set", sysctl),
		Effect:   fmt.Sprintf("kernel.%s is set, so %s", sysctl, effect),
	}
	value, err := os.ReadFile("/proc/sys/kernel/" + sysctl)
	if errors.Is(err, os.ErrNotExist) {
		return d // a kernel that has no such sysctl does no such thing
	}
	d.Unknown = err
	d.Present = err == nil && strings.TrimSpace(string(value)) != "0"
	return d
}

// Sentences are those that keep a run from being made, in sentences.
func Sentences(r Run) []string {
	var found []string
	for _, d := range Find(r) {
		if d.Real() {
			found = append(found, d.String())
		}
	}
	return found
}

var errNotLoaded = errors.New("ext4 is not loaded")

// ext4Loaded returns nil if the kernel has ext4's code in its memory.
func ext4Loaded() error {
	text, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "ext4" {
			return nil
		}
	}
	return errNotLoaded
}
