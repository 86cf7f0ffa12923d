//go:build guest

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/probes/event"
	"umemstress/probes/observe"
	"umemstress/workload/record"
)

// attachedIn are the places in a module that are watched, and awaited those that the kernel will attach to.
func attachedIn(l observe.Line, purposes []string) (attached, awaited int) {
	for _, h := range l.Hooks {
		if slices.ContainsFunc(purposes, func(p string) bool { return strings.HasPrefix(h.Purpose, p) }) {
			if h.Symbol != "" {
				attached++
			} else if h.Awaits != "" && h.Without == "" {
				awaited++
			}
		}
	}
	return attached, awaited
}

// Modules that few machines load are watched from when they are, also when they are unloaded and loaded again,
// and no privilege is kept for it. Where it takes a look to know which function a module has, that is said.
func TestObserveLater(t *testing.T) {
	ends := record.Verdict(*expectVerdict)
	for holder, c := range map[string]struct {
		modules  []string
		purposes []string
		pins     bool // for long
		look     bool // at what the module has
		ends     record.Verdict
	}{
		"vmci": {modulesOfVMCI, []string{"release of a VMCI queue pair", "pin of a VMCI queue pair"}, true, false, record.DataLost},
		"nfs":  {modulesOfNFS, []string{"release of a direct read's pages by NFS", "submission of a direct read to NFS"}, false, false, record.DataLost},
		"fuse": {modulesOfFUSE(), []string{"release of a direct read's pages by FUSE", "submission of a direct read to FUSE"}, false, true, endsOfFUSE()},
		"v4l2": {modulesOfV4L2, []string{"release of a V4L2 queue's buffers", "pin of a V4L2 buffer"}, true, true, ends},
	} {
		if c.modules == nil || c.ends == record.Refused { // built in; or nothing is dirtied
			continue
		}
		t.Run(holder, func(t *testing.T) {
			remove := func() {
				for _, name := range c.modules {
					_ = exec.Command("modprobe", "-qr", name).Run() // what it did is looked at
				}
			}
			noModules(t, c.modules, remove)
			o := beginObserving(t, "--fs", "ext4")
			started, _ := o.find(func(l observe.Line) bool { return l.Event == observe.Started })
			if attached, awaited := attachedIn(started, c.purposes); attached != 0 || awaited != len(c.purposes) {
				t.Errorf("%d places are watched, %d will be: %+v", attached, awaited, started.Hooks)
			}
			if had := capabilities(t, o.cmd.Process.Pid); slices.Contains(had, "PERFMON") || slices.Contains(had, "SYS_ADMIN") {
				t.Errorf("it has %q", had)
			}
			owners := map[uint32]bool{}
			for turn := 1; turn <= 2; turn++ {
				hooked := func(want bool) func(observe.Line) bool {
					return func(l observe.Line) bool {
						attached, awaited := attachedIn(l, c.purposes)
						return l.Event == observe.Rehooked && (want && attached == len(c.purposes) || !want && awaited == len(c.purposes))
					}
				}
				// The second time, who needs no look does not get one: modules may come and go between two.
				looked := c.look || turn == 1
				if looked {
					if out, err := exec.Command("modprobe", c.modules[0]).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
					o.awaitNth(t, turn, hooked(true))
				}
				stdout, stderr, code := outcome(t, small("--holder", holder, "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))...)
				if code != c.ends.ExitCode() {
					t.Errorf("exit code %d: %s%s", code, stdout, stderr)
				}
				line := o.await(t, func(l observe.Line) bool {
					return l.Event == string(event.Dirtied) && l.Holder == holder && l.Owner != nil && !owners[l.Owner.PID]
				})
				owners[line.Owner.PID] = true
				if line.Bufferless != (c.ends == record.DataLost) || !line.Unannounced {
					t.Errorf("turn %d: %+v", turn, line)
				}
				pin, told := o.find(func(l observe.Line) bool {
					return l.Event == string(event.Pinned) && l.Holder == holder && *l.Owner == *line.Owner && l.Inode == line.Inode && l.Path != ""
				})
				if told != c.pins {
					t.Errorf("turn %d: pinned: %+v, and then dirtied: %+v", turn, pin, line)
				}
				noModules(t, c.modules, remove)
				if looked {
					o.awaitNth(t, turn, hooked(false))
				}
			}
			summary, _ := o.end(t)
			if summary.Lost.Any() {
				t.Errorf("%+v", summary)
			}
			if i := slices.IndexFunc(summary.Sums, func(s observe.Sum) bool { return s.Holder == holder }); i < 0 || summary.Sums[i].Unannounced != 2*512 {
				t.Errorf("%+v, want 1024 pages of %s", summary.Sums, holder)
			}
		})
	}
	if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}
