// Package deferred puts kprobes on functions of modules that are not loaded: the kernel itself arms them when
// it loads the module, before any of its code has run, and again each time that it does. To have them armed then takes
// no privilege any more.
//
// It is what kernel/trace/trace_kprobe.c does (trace_kprobe_module_callback) for events of tracefs on
// MODULE:FUNCTION. For each such event the kernel prints a line to its log, that it might be able to register it later.
package deferred

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracefs is where it is mounted, or has been.
var tracefs = []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// theEvents is the file with the list of all.
const theEvents = "kprobe_events"

// maxName is how long the name of an event may be (MAX_EVENT_NAME_LEN, kernel/trace/trace_probe.h).
const maxName = 63

// A Place is where a probe is to be.
type Place struct {
	Module, Function string
	// Returns is how many returns may be waited for at once, of a probe on these; 0: it is on the entry.
	Returns int
}

// definition is the line of kprobe_events that makes an event of the place.
func (p Place) definition(event string) string {
	kind := "p"
	if p.Returns > 0 {
		kind = fmt.Sprintf("r%d", p.Returns)
	}
	return fmt.Sprintf("%s:%s %s:%s\n", kind, event, p.Module, p.Function)
}

// A Probe is one that the kernel has armed, or will arm when the module is loaded.
type Probe struct {
	events string // the file kprobe_events
	event  string // GROUP/NAME
	perf   int
}

// Put makes a probe, as an event of the group whose name begins with the place's function and ends with a number of the
// caller's. It runs nothing yet.
func Put(p Place, group string, number int) (*Probe, error) {
	dir, err := writable()
	if err != nil {
		return nil, err
	}
	events := filepath.Join(dir, theEvents)
	probe := &Probe{events: events, event: group + "/" + eventName(p.Function, number), perf: -1}
	if err := probe.write(p.definition(probe.event)); err != nil {
		return nil, fmt.Errorf("make a probe in %s: %w", events, err)
	}
	if err := probe.open(filepath.Join(dir, "events", probe.event, "id")); err != nil {
		return nil, errors.Join(err, probe.Close())
	}
	return probe, nil
}

// Possible says why this process can put no probe, as on a kernel that is locked down; nil: it can, as far as tracefs is concerned.
func Possible() error {
	_, err := writable()
	return err
}

// writable is where there is a tracefs in which probes can be made.
func writable() (dir string, err error) {
	for _, dir := range tracefs {
		f, err := add(filepath.Join(dir, theEvents))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return dir, f.Close()
	}
	return "", fmt.Errorf("no %s in %s: mount tracefs there", theEvents, strings.Join(tracefs, " or "))
}

// add opens a list of events to add to: to open it otherwise empties it.
func add(events string) (*os.File, error) { return os.OpenFile(events, os.O_WRONLY|os.O_APPEND, 0) }

// eventName is of letters, digits and underscores, as the kernel wants it.
func eventName(function string, number int) string {
	end := fmt.Sprintf("_%d", number)
	name := strings.ReplaceAll(function, ".", "_")
	return name[:min(len(name), maxName-len(end))] + end
}

func (p *Probe) write(line string) error {
	f, err := add(p.events)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

// open opens the event whose number is in the file. A program runs on all CPUs, whichever that is of.
func (p *Probe) open(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Size: unix.PERF_ATTR_SIZE_VER0, Config: id, Bits: unix.PerfBitDisabled}
	p.perf, err = unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open the event of a probe: %w", err)
	}
	return nil
}

// Run has the probe run a BPF program of kprobes, by its descriptor. It takes no privilege.
func (p *Probe) Run(program int) error {
	if err := unix.IoctlSetInt(p.perf, unix.PERF_EVENT_IOC_SET_BPF, program); err != nil {
		return fmt.Errorf("have a probe run a program: %w", err)
	}
	if err := unix.IoctlSetInt(p.perf, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("begin a probe: %w", err)
	}
	return nil
}

// Close takes the probe away. It may be called again.
func (p *Probe) Close() error {
	if p.event == "" {
		return nil
	}
	var err error
	if p.perf >= 0 {
		err = unix.Close(p.perf) // an event that is open is in use
	}
	err = errors.Join(err, p.write("-:"+p.event+"\n"))
	p.event, p.perf = "", -1
	return err
}
