// Package module has the kernel's modules that a run needs, and takes back those that it
// loaded, however the run ends.
package module

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// Set are modules that belong together.
type Set struct {
	Top     string   // the one to load; it brings the others along
	Unload  []string // all of them, in an order in which they can be unloaded
	Busy    string   // the one whose references tell of other users
	Options string   // of the kernel's configuration, for who has none of it
	// Parameters are those that Top is loaded with, such as n_devs=1.
	Parameters []string
}

// Loaded are those modules of a set that were not there before.
type Loaded struct{ set *loaded }

// loaded is a set that this process loaded, for all who want it.
type loaded struct {
	top   string
	users int
	undo  *child.Janitor
}

// held has the sets that this process loaded, by Top: the first of two users that ends must not wait
// for the second, nor the second leave the modules there.
var held = struct {
	sync.Mutex
	sets map[string]*loaded
}{sets: map[string]*loaded{}}

const sysModule = "/sys/module"

// unload unloads by the program $1 the modules behind $2, once nobody but another of them uses the module $2. Who
// still does after some seconds keeps them, and the run says so: the sockets of a killed process live on for one. A module
// that is gone is not looked at again: one of its name that comes is somebody else's.
const unload = `rmmod=$1; busy=$2; shift 2
read -r now rest </proc/uptime; until=$((${now%.*}+6))
while [ "${now%.*}" -lt $until ]; do
	left=$busy
	read -r users 2>/dev/null <` + sysModule + `/"$busy"/refcnt || users=0
	if [ "$users" -le 1 ]; then
		while [ $# -gt 0 ]; do
			[ ! -e ` + sysModule + `/"$1" ] || "$rmmod" "$1" 2>/dev/null || break
			shift
		done
		[ $# -gt 0 ] || exit 0
		left=$1
	fi
	sleep 0.1; read -r now rest </proc/uptime
done
for m; do
	[ ! -e ` + sysModule + `/"$m" ] || "$rmmod" "$m" 2>/dev/null
done
echo "the module $left stays loaded, since somebody has come to use it; rmmod $left once nobody does" >&2`

// Load makes sure that the set's modules are there. The error says what the host lacks.
func Load(ctx context.Context, s Set) (*Loaded, error) {
	held.Lock()
	defer held.Unlock()
	if set := held.sets[s.Top]; set != nil {
		set.users++
		return &Loaded{set}, nil
	}
	sign, err := hangOut()
	if err != nil {
		return nil, err
	}
	defer sign.Close() // the shell that unloads has its own
	if err := s.settle(ctx, sign); err != nil {
		return nil, err
	}
	absent := s.absent()
	if len(absent) == 0 {
		return &Loaded{}, nil
	}
	undo, err := s.load(ctx, absent, sign)
	if err != nil {
		return nil, err
	}
	set := &loaded{top: s.Top, users: 1, undo: undo}
	held.sets[s.Top] = set
	return &Loaded{set}, nil
}

// load loads the set and returns what unloads those that were absent.
func (s Set) load(ctx context.Context, absent []string, sign *os.File) (undo *child.Janitor, err error) {
	modprobe, err := child.Find("modprobe")
	if err != nil {
		return nil, s.lacks("modprobe is not there: apt-get install kmod")
	}
	rmmod, err := child.Find("rmmod")
	if err != nil {
		return nil, s.lacks("rmmod is not there: apt-get install kmod")
	}
	if undo, err = child.StartJanitor([]*os.File{sign}, unload, append([]string{rmmod, s.Busy}, absent...)...); err != nil {
		return nil, err
	}
	load := exec.CommandContext(ctx, modprobe, append([]string{s.Top}, s.Parameters...)...)
	undo.Await(load)
	out, err := load.CombinedOutput()
	if err == nil {
		return undo, nil
	}
	failed := s.lacks(strings.TrimSpace(string(out)))
	switch {
	case ctx.Err() != nil:
		failed = ctx.Err()
	case os.Geteuid() != 0:
		failed = fault.Lacksf("the module %s is not loaded, and only root may load it: modprobe %[1]s as root", s.Top)
	}
	return nil, errors.Join(failed, undo.Close())
}

// absent are those that are neither loaded nor built in, as far as those have parameters. Where Top is
// there, so is all that it needs.
func (s Set) absent() []string {
	var absent []string
	if _, err := os.Stat(filepath.Join(sysModule, s.Top)); err == nil {
		return nil
	}
	for _, name := range s.Unload {
		if _, err := os.Stat(filepath.Join(sysModule, name)); err != nil {
			absent = append(absent, name)
		}
	}
	return absent
}

func (s Set) lacks(why string) error {
	return fault.Lacksf("the module %s cannot be loaded: %s; boot a kernel that has it (%s)", s.Top, why, s.Options)
}

// Close unloads those that Load loaded and nobody else has come to use.
func (l *Loaded) Close() error {
	if l == nil || l.set == nil {
		return nil
	}
	held.Lock()
	defer held.Unlock()
	set := l.set
	l.set = nil
	if set.users--; set.users > 0 {
		return nil
	}
	delete(held.sets, set.top)
	return set.undo.Close()
}
