//go:build guest

package probes

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// useMethods has all sessions of the test try these methods only.
func useMethods(t *testing.T, list ...Method) {
	saved := inUse
	t.Cleanup(func() { inUse = saved })
	inUse.methods = func(preemption, func() (*btf.Spec, error)) []Method { return list }
}

// Every method sees the same, on whichever it comes first.
func TestMethods(t *testing.T) {
	for _, method := range []Method{KprobeMulti, Kprobe} {
		if method == KprobeMulti && *expect != "refused" {
			continue // see TestSupportedHere
		}
		t.Run(string(method), func(t *testing.T) {
			useMethods(t, method, Kprobe) // where returns are too many for kprobe-multi
			for _, a := range attach(t, Options{}).Attachments() {
				t.Logf("%+v", a)
				if a.Purpose == dirtiedPurpose && a.Method != method || a.Without != "" {
					t.Errorf("%s: %s by %q", a.Purpose, a.Symbol, a.Method)
				}
			}
			t.Run("tmpfs", TestTmpfs)
			t.Run("direct read", TestDirectRead)
			t.Run("process_vm_writev", TestVMWritev)
			t.Run("detached", TestDetached)
			t.Run("many at once", TestManyReleases)
			t.Run("strips", TestActsAmidOthers)
			t.Run("many strips", TestManyStrips)
		})
	}
}

// Counts are exact also while many threads release their pages at once, more of
// them than there are CPUs, so that one is preempted inside the probes.
func TestManyReleases(t *testing.T) {
	t.Run("process_vm_writev", func(t *testing.T) {
		w := attach(t, Options{Holders: []string{event.HolderVMWritev}})
		for range rounds {
			want, got := w.writeByMany(t)
			if got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		}
		w.wantQuiet(t)
	})
	t.Run("direct read", func(t *testing.T) {
		disk := newHoldableDisk(t, 8)
		w := attach(t, Options{Holders: []string{event.HolderDIO}, NoStacks: true})
		for range 2 {
			path := filepath.Join(t.TempDir(), "region")
			writePages(t, path, many*256) // which a mapping would bring in large folios since 6.16
			p := mapFile(t, path, many*256)
			finish := disk.readHeld(t, p.parts(many)...)
			p.cleanAndStrip(t)
			finish()
			n := uint64(many * 256)
			want := event.Count{Inode: p.inode, Filesystem: "ext4", DirtiedPages: n, UnannouncedPages: n, DirtiedFolios: n}
			if *expect != "refused" {
				want.BufferlessPages, want.BufferlessFolios = n, n
			}
			w.waitFor(t, want)
		}
		w.wantQuiet(t)
	})
}

// Where fentry programs miss calls, the session says so.
func TestMissesAreLost(t *testing.T) {
	if *expect == "bufferless" {
		useMethods(t, Fentry, Kprobe)
	} else {
		useMethods(t, Fentry)
	}
	w := attach(t, Options{Holders: []string{event.HolderVMWritev}})
	missed := 0
	preempts := preemption{os.DirFS("/sys"), kernelBuild()}.preemptible()
	misses := preempts && *expect != "bufferless" // 5.10 skips nothing
	// Where misses are the point, there have to be some.
	for round := 0; round < rounds || misses && missed == 0 && round < 8*rounds; round++ {
		want, got := w.writeByMany(t)
		lost, err := w.Lost()
		check(t, err)
		t.Logf("counted %d of %d, lost %+v", got.DirtiedPages, want.DirtiedPages, lost)
		if got != want {
			missed++
			if lost.Pages == 0 && lost.Releases == 0 {
				t.Errorf("counted %+v, want %+v, and nothing is said to be lost", got, want)
			}
		}
	}
	if misses && missed == 0 {
		t.Errorf("no page was missed in %d rounds on a kernel that preempts fentry programs: nothing is proved", 8*rounds)
	}
	if missed > 0 && !preempts {
		t.Errorf("pages were missed on a kernel that preempts no fentry program")
	}
}

// No call of a strip is missed either, though it is for anybody's pages.
func TestManyStrips(t *testing.T) {
	w := attach(t, Options{Kinds: []event.Kind{event.Stripped}})
	stripByMany(t)
	w.wantLost(t, event.Lost{})
}

// Where fentry programs miss strips, the session says so.
func TestMissedStripsAreLost(t *testing.T) {
	preempts := preemption{os.DirFS("/sys"), kernelBuild()}.preemptible()
	if *expect == "bufferless" {
		return // 5.10 has no types for the rest of a session, and skips nothing
	}
	useMethods(t, Fentry)
	w := attach(t, Options{Kinds: []event.Kind{event.Stripped}})
	var lost event.Lost
	for round := 0; round < rounds && lost.Strips == 0; round++ {
		stripByMany(t)
		var err error
		lost, err = w.Lost()
		check(t, err)
	}
	t.Logf("lost %+v", lost)
	if preempts != (lost.Strips > 0) {
		t.Errorf("%d strips were missed by fentry; that the kernel preempts tasks inside it is %t", lost.Strips, preempts)
	}
}

// writePages makes a file by writes of a page each, so that each page is a folio.
func writePages(t *testing.T, path string, pages int) {
	t.Helper()
	file, err := os.Create(path)
	check(t, err)
	for range pages {
		_, err := file.Write(make([]byte, pageSize))
		check(t, err)
	}
	check(t, file.Close())
}

// stripByMany lets many threads strip pages of files that nobody has pinned, all at once.
func stripByMany(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			file, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			for range 1024 {
				if _, err := file.Write(make([]byte, pageSize)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := errors.Join(file.Sync(), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

const (
	many   = 32 // threads that release at once
	rounds = 8  // of fentry programs about every second one misses calls, on a kernel that preempts
)

// parts divides the memory.
func (p *pin) parts(n int) [][]byte {
	list := make([][]byte, n)
	size := len(p.mem) / n
	for i := range list {
		list[i] = p.mem[i*size:][:size]
	}
	return list
}

// writeByMany lets many threads write to a file of tmpfs by process_vm_writev,
// all at once.
func (w *witness) writeByMany(t *testing.T) (want, got event.Count) {
	t.Helper()
	const pages = 1024 * many // the most that process_vm_writev releases in one call, for each
	p := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	var wg sync.WaitGroup
	for _, mem := range p.parts(many) {
		wg.Go(func() {
			if err := writeVM(mem); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want = event.Count{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: pages, UnannouncedPages: pages, DirtiedFolios: pages}
	return want, w.counted(t, p.inode)
}
