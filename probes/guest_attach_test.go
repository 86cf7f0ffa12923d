//go:build guest

package probes

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// Every hook is attached at its first choice of functions, in the cheapest way
// that the kernel has and that misses nothing.
func TestAttachments(t *testing.T) {
	for _, holder := range Holders() {
		t.Run(holder, func(t *testing.T) {
			if holder == event.Holder9P && *expect != "refused" && !slices.Contains(holdersHere(), holder) {
				t.Skip("before Linux 6.8 netfs makes no direct reads: use 6.12")
			}
			start := time.Now()
			w := attach(t, Options{Holders: []string{holder}})
			t.Logf("attached in %v", time.Since(start))
			attachments := w.Attachments()
			if hooks := present(stock().hooksFor([]string{holder}, nil)); len(attachments) != 1+len(hooks) {
				t.Errorf("%d attachments for %d hooks and a tracepoint", len(attachments), len(hooks))
			}
			for _, a := range attachments {
				t.Logf("%+v", a)
				if want := cheapest(a.Purpose); !a.Attached() || a.Method != want || a.Without != "" {
					t.Errorf("%s: attached to %q by %q, want %q", a.Purpose, a.Symbol, a.Method, want)
				}
			}
			start = time.Now()
			check(t, w.Close())
			t.Logf("closed in %v", time.Since(start))
		})
	}
}

// cheapest is the method to be expected of a hook.
func cheapest(purpose string) Method {
	switch {
	case purpose == abandonedPurpose:
		return RawTracepoint
	case purpose == stock().releases[event.HolderFUSE].purpose && *expect == "refused":
		return Kprobe // on 6.12 the compiler has made another function of it, which BTF does not have
	case preemption{os.DirFS("/sys"), kernelBuild()}.preemptible() && *expect != "bufferless":
		if (purpose == dirtiedPurpose || ofSubmission(purpose)) && *expect == "refused" {
			return KprobeMulti
		}
		return Kprobe
	case *expect != "bufferless" || purpose == dirtiedPurpose || purpose == stockSubmitted()[event.HolderDIO].purpose || purpose == stock().releases[event.HolderVMWritev].purpose ||
		purpose == stock().releases[event.HolderXDP].purpose:
		return Fentry
	}
	return Kprobe // 5.10 has no types for modules, and none for what gcc split off
}

func ofSubmission(purpose string) bool {
	for _, h := range stockSubmitted() {
		if h.purpose == purpose {
			return true
		}
	}
	return false
}

func TestSessionEnds(t *testing.T) {
	w := attach(t, Options{})
	ended := make(chan error)
	go func() { ended <- w.Events(context.Background(), func(event.Event) {}) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(t, w.Drain(ctx))
	check(t, w.Close())
	check(t, w.Close())
	check(t, <-ended)
	if err := w.Drain(ctx); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Drain of a closed session: %v", err)
	}
}

// Without a limit on locked memory to speak of, before 5.11 too, and with the
// limit as it was afterwards.
func TestAttachKeepsMemlock(t *testing.T) {
	small := unix.Rlimit{Cur: 64 << 10, Max: 1 << 20}
	var old, after unix.Rlimit
	check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &small, &old))
	t.Cleanup(func() { check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil)) })
	attach(t, Options{})
	check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &after))
	if after != small {
		t.Errorf("the limit is %+v, was %+v", after, small)
	}
}

// Sessions may begin and end at once. Each sees what its own holder does, and the
// limit on locked memory is what it was.
func TestTwoSessionsAtOnce(t *testing.T) {
	small := unix.Rlimit{Cur: 64 << 10, Max: 1 << 20}
	var old, after unix.Rlimit
	check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &small, &old))
	t.Cleanup(func() { check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil)) })
	holders := []string{event.HolderUmem, event.HolderVMWritev}
	sessions, errs := make([]*Session, len(holders)), make([]error, len(holders))
	var wg sync.WaitGroup
	for i, holder := range holders {
		wg.Go(func() { sessions[i], errs[i] = Attach(Options{Holders: []string{holder}}) })
	}
	wg.Wait()
	check(t, errors.Join(errs...))
	check(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &after))
	if after != small {
		t.Errorf("the limit is %+v, was %+v", after, small)
	}
	const pages = 16
	p := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	p.writev(t)
	want := []event.Count{
		{Inode: p.inode},
		{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: pages, UnannouncedPages: pages, DirtiedFolios: pages},
	}
	for i, s := range sessions {
		w := &witness{Session: s}
		if got := w.counted(t, p.inode); got != want[i] {
			t.Errorf("%s: counted %+v, want %+v", holders[i], got, want[i])
		}
		wg.Go(func() { errs[i] = s.Close() })
	}
	wg.Wait()
	check(t, errors.Join(errs...))
}

// A thread that dies in a release gives up its run. The release is made up, as
// no sound kernel lets a thread die in one; what it dirties is real, a page of
// tmpfs that process_vm_writev writes to.
func TestAbandonedRelease(t *testing.T) {
	const pages = 8
	p := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	w := attach(t, Options{})
	w.read(t)
	tid := make(chan uint32)
	onDyingThread(func() {
		id := uint32(unix.Gettid())
		release := dirtyRelease{Run: dirtyEvent{
			Kind: dirtyKindKIND_DIRTIED, Holder: dirtyHolderHOLDER_UMEM, Pid: uint32(unix.Getpid()), Tid: id,
		}, Known: 1, Mapping: 1, Stack: -1}
		err := errors.Join(
			w.coll.Maps[dirtyMapReleases].Put(id, release),
			w.coll.Variables[dirtyVarActive].Set(uint64(1)),
			writeVM(p.mem[3*pageSize:4*pageSize]),
		)
		if err != nil {
			t.Error(err)
		}
		tid <- id
	})
	id := <-tid
	var left dirtyRelease
	for until := time.Now().Add(10 * time.Second); w.coll.Maps[dirtyMapReleases].Lookup(id, &left) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the dead thread's release is still there: %+v", left)
		}
	}
	count := w.counted(t, p.inode)
	if want := (event.Count{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: 1, UnannouncedPages: 1, DirtiedFolios: 1}); count != want {
		t.Errorf("counted %+v, want %+v", count, want)
	}
	var sum uint64
	for _, e := range w.delivered(t) {
		if e.Inode != p.inode || e.Index != 3 || e.Pages != 1 || e.Bufferless || !e.Unannounced || e.TID != id {
			t.Errorf("event %+v", e)
		}
		sum += e.Pages
	}
	if sum != count.DirtiedPages {
		t.Errorf("events of %d pages, %d counted", sum, count.DirtiedPages)
	}
	var active uint64
	check(t, w.coll.Variables[dirtyVarActive].Get(&active))
	if active != 0 {
		t.Errorf("%d releases active, none is left", active)
	}
}

func TestAttachUnprivileged(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+roleUnprivileged)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	check(t, err)
	for _, text := range []string{"probes: create BPF maps: not permitted", "CAP_BPF"} {
		if !strings.Contains(string(out), text) {
			t.Errorf("%q is missing in %q", text, out)
		}
	}
}

// Without the module, the error says how to get it.
func TestAttachWithoutModule(t *testing.T) {
	table := stock()
	absent := table.releases[event.HolderUmem]
	absent.module = "nosuchmodule"
	absent.sites = withoutSites(absent.sites, len(absent.sites))
	table.releases[event.HolderUmem] = absent
	_, err := attachBy(table, Options{})
	var l *LacksError
	if !errors.As(err, &l) || !l.HostLacks() || len(l.Attachments) != 3 ||
		!strings.Contains(err.Error(), "module nosuchmodule is not loaded (load it with modprobe nosuchmodule)") {
		t.Errorf("%v", err)
	}
	t.Log(err)
}

// withoutSites makes the first n sites ones of functions that no kernel has.
func withoutSites(sites []site, n int) []site {
	sites = slices.Clone(sites)
	for i := range sites[:n] {
		sites[i].symbol += "_in_no_kernel"
	}
	return sites
}

// onDyingThread calls f on a thread that ends with it.
func onDyingThread(f func()) {
	go func() {
		runtime.LockOSThread() // and never unlocks it, so that the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread would not end. While it is taken, try another one.
		done := make(chan struct{})
		onDyingThread(func() {
			f()
			close(done)
		})
		<-done
		runtime.UnlockOSThread()
	}()
}

func TestSupportedHere(t *testing.T) {
	for _, f := range Supported() {
		t.Logf("%+v", f)
		// Debian turns FPROBE on with the kernels that refuse to pin files.
		want := f.Name != string(KprobeMulti) || *expect == "refused"
		if f.Available != want {
			t.Errorf("%+v, want available: %v", f, want)
		}
	}
}
