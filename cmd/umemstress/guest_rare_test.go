//go:build guest

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/event"
	"umemstress/probes/observe"
	"umemstress/workload/record"
)

// What the tests share of holders whose modules few machines have loaded.

// ran is the record of a run of 2 MiB, and its exit code.
func ran(t *testing.T, flags ...string) (r record.Record, code int) {
	t.Helper()
	stdout, stderr, code := outcome(t, small(append([]string{"--format", "json"}, flags...)...)...)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %q; %s", err, stdout, stderr)
	}
	return r, code
}

// killedIn kills a run once a phase has begun.
func killedIn(t *testing.T, phase string, flags ...string) {
	t.Helper()
	flags = append([]string{"-o", filepath.Join(t.TempDir(), "evidence")}, flags...)
	run := begin(t, phase, small(flags...)...)
	run.signal(t, syscall.SIGKILL)
	run.end(t, time.Minute)
}

// observed is what an observer is told of the release of a run's holder, whose pages are counted as
// dirtied without buffers, where such a run ends in loss, and else as not announced. That a holder which
// pins them for long has done so was told before, in the same name, and of the same pages; of one that pins
// them for a moment nothing was.
func observed(t *testing.T, holder string, long bool, ends record.Verdict) observe.Line {
	t.Helper()
	const pages = 512
	o := beginObserving(t, "--fs", "ext4")
	stdout, stderr, code := outcome(t, small("--holder", holder, "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != ends.ExitCode() {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	line := o.await(t, func(l observe.Line) bool { return l.Event == string(event.Dirtied) && l.Holder == holder })
	if line.Bufferless != (ends == record.DataLost) || !line.Unannounced || line.Owner == nil || line.Owner.PID == 0 {
		t.Errorf("%+v", line)
	}
	if long {
		o.wantPinned(t, line, pages)
	} else if got := o.pinnedOf(pages); got != 0 {
		t.Errorf("%d pages were told to be pinned, for a moment:\n%s", got, o.told())
	}
	summary, _ := o.end(t)
	if summary.Lost.Any() || summary.Pinned+summary.Refused != 0 { // the sums are of RDMA regions
		t.Errorf("%+v", summary)
	}
	i := slices.IndexFunc(summary.Sums, func(s observe.Sum) bool { return s.Holder == holder })
	if i < 0 || summary.Sums[i].Unannounced != pages || ends == record.DataLost && summary.Sums[i].Bufferless != pages {
		t.Errorf("%+v, want %d pages of %s, in a run that ends %s", summary.Sums, pages, holder, ends)
	}
	return line
}

// observedRefused observes a run that the kernel refuses to pin a file for.
func observedRefused(t *testing.T, holder string) {
	t.Helper()
	o := beginObserving(t, "--fs", "ext4")
	r, _ := ran(t, "--holder", holder, "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
	t.Logf("the run is %s (%s)", r.Verdict, r.Reason)
	l := o.await(t, func(l observe.Line) bool { return l.Event == "refused" && l.Error == "EFAULT" }) // not the ENOMEM of a part
	if r.Verdict != record.Refused || l.Holder != holder || l.Filesystem != "ext4" || l.Inode == 0 || l.Owner == nil || l.Owner.PID == 0 || l.Bytes == 0 {
		t.Errorf("%s (%s); %+v", r.Verdict, r.Reason, l)
	}
	if summary, code := o.end(t); code != exit.Clean || summary.Pinned+summary.Refused != 0 || summary.Lost.Any() {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}

// wantPinned wants the pin of what was dirtied told, all of it.
func (o *observation) wantPinned(t *testing.T, line observe.Line, pages uint64) {
	t.Helper()
	pin, told := o.find(func(l observe.Line) bool { return l.Event == string(event.Pinned) })
	if !told || pin.Holder != line.Holder || pin.Owner == nil || *pin.Owner != *line.Owner || pin.Inode != line.Inode || pin.Device != line.Device ||
		pin.Path == "" || pin.Address == "" || pin.MRN != nil || pin.SinceBefore || !pin.Time.Before(line.Time) {
		t.Errorf("pinned: %+v, and then dirtied: %+v", pin, line)
	}
	if got := o.pinnedOf(pages); got != int(pages) {
		t.Errorf("%d pages were pinned, want %d:\n%s", got, pages, o.told())
	}
}

// pinnedOf is how many of a file's first pages were told to be pinned. A buffer may begin in them and
// end behind, and one may be queued in the place of another.
func (o *observation) pinnedOf(pages uint64) int {
	found := map[uint64]bool{}
	for _, l := range o.all(string(event.Pinned)) {
		for page := *l.FirstPage; page < min(*l.FirstPage+l.Pages, pages); page++ {
			found[page] = true
		}
	}
	return len(found)
}

// wantAgreed wants the channels to agree, to the page, on what became of all pages of a run: each was dirtied
// with nobody told, and lost where the verdict says that.
func wantAgreed(t *testing.T, r record.Record) {
	t.Helper()
	const pages = 512
	probes, disk, cache := r.Channels.Probes, r.Channels.Disk, r.Channels.Cache
	rise, _ := r.Channels.WarningRise()
	lost := uint64(0)
	if r.Verdict == record.DataLost {
		lost = pages
	}
	if probes.UnannouncedPages != pages || probes.BufferlessPages != lost || disk.StalePages != lost || disk.OldPages != lost || rise != lost || cache.StalePages != 0 || cache.CheckedPages != pages {
		t.Errorf("the channels disagree: probes %+v, disk %+v, cache %+v, warning_count %d", probes, disk, cache, rise)
	}
}

// noModules wants modules gone, soon, and does each time what is to help.
func noModules(t *testing.T, modules []string, help func()) {
	t.Helper()
	var found []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		help()
		found = slices.DeleteFunc(slices.Clone(modules), func(name string) bool {
			_, err := os.Stat("/sys/module/" + name)
			return err != nil
		})
		if len(found) == 0 {
			return
		}
	}
	t.Errorf("modules are still loaded: %q", found)
}

func nothing() {}

// noUnloading waits until no run that has ended unloads modules: they would go from under who loads them now.
func noUnloading(t *testing.T) {
	t.Helper()
	sign, err := os.Open("/sys/module") // which the shell that unloads has locked for as long as it is at work
	if err != nil {
		t.Fatal(err)
	}
	defer sign.Close()
	for until := time.Now().Add(30 * time.Second); unix.Flock(int(sign.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("modules are still being unloaded")
		}
	}
}

// haveModules has the first of the modules loaded for the time of the test, and the others, which
// it needs.
func haveModules(t *testing.T, modules []string) {
	t.Helper()
	noUnloading(t)
	if out, err := exec.Command("modprobe", modules[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		noModules(t, modules, func() { // a socket uses vsock for a second after its end
			for _, name := range modules {
				_ = exec.Command("modprobe", "-qr", name).Run() // what it did is looked at
			}
		})
	})
}
