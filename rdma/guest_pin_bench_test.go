//go:build guest

package rdma

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

var pinProgram = flag.String("pin-program", "", "the compiled testdata/pin.c, which BenchmarkPin compares with")

// BenchmarkPin registers and deregisters a region of 64 MiB, or many of a page, in turn with a C
// program over libibverbs that does the same, and reports the median times of
// both and their ratios. Each registration finds a mapping that nobody has
// touched, of a file whose blocks are allocated and whose pages are not in the
// cache, or of anonymous memory. One iteration is one run of each:
//
//	cc -O2 -o bin/pin rdma/testdata/pin.c -libverbs
//	umemstress lab exec -- /tmp/rdma.test -test.run '^$' -test.bench Pin -test.benchtime 7x -pin-program=$PWD/bin/pin
func BenchmarkPin(b *testing.B) {
	if *pinProgram == "" {
		b.Fatal("no -pin-program: make it with\n\tcc -O2 -o bin/pin rdma/testdata/pin.c -libverbs\n" +
			"(apt-get install gcc libc6-dev libibverbs-dev) and give -pin-program=$PWD/bin/pin")
	}
	b.Run("file", func(b *testing.B) { benchmarkPin(b, pinned{pinBytes, 1}, newFallocated) })
	b.Run("anonymous", func(b *testing.B) { benchmarkPin(b, pinned{pinBytes, 1}, anonymousPin) })
	b.Run("many", func(b *testing.B) {
		many := pinned{manyRegions * os.Getpagesize(), manyRegions}
		benchmarkPin(b, many, anonymousPin)
		b.ReportMetric(many.memory(b), "B/region")
	})
}

const (
	pinBytes    = 64 << 20
	manyRegions = 10_000
)

// pinned is memory, and as how many regions it is registered.
type pinned struct{ bytes, regions int }

func anonymousPin(*testing.B) string { return "" }

// pinTimes are the two phases of one region's life.
type pinTimes struct{ pin, release time.Duration }

// benchmarkPin takes a region of its own for each run: newFile names its file, or
// "" for anonymous memory.
func benchmarkPin(b *testing.B, p pinned, newFile func(*testing.B) string) {
	pd, err := openDevice(b).AllocPD()
	if err != nil {
		b.Fatal(err)
	}
	var theirs, ours [2][]float64
	add := func(to *[2][]float64, times func(*testing.B, *PD, string) pinTimes) {
		name := newFile(b)
		// What the run before left to write back is not to be in the way.
		unix.Sync()
		t := times(b, pd, name)
		to[0], to[1] = append(to[0], milliseconds(t.pin)), append(to[1], milliseconds(t.release))
		if name != "" {
			if err := os.Remove(name); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		add(&theirs, p.libibverbs)
		add(&ours, p.pin)
	}
	b.ReportMetric(0, "ns/op")
	for i, phase := range []string{"pin", "release"} {
		b.ReportMetric(median(theirs[i]), phase+"-libibverbs-ms")
		b.ReportMetric(median(ours[i]), phase+"-ms")
		b.ReportMetric(median(ours[i])/median(theirs[i]), phase+"-ratio")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// newFallocated is the name of a new file with blocks and without pages.
func newFallocated(b *testing.B) string {
	b.Helper()
	f, err := os.CreateTemp(b.TempDir(), "region")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, pinBytes); err != nil {
		b.Fatalf("fallocate: %v (the file is to lie on ext4)", err)
	}
	return f.Name()
}

// pin is what testdata/pin.c does, by this package.
func (p pinned) pin(b *testing.B, pd *PD, name string) (t pinTimes) {
	fd, flags := -1, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS
	if name != "" {
		flags = unix.MAP_SHARED
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		fd = int(f.Fd())
	}
	mem, err := unix.Mmap(fd, 0, p.bytes, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(mem)

	all := make([]*MR, p.regions)
	start := time.Now()
	err = p.register(pd, mem, all)
	t.pin = time.Since(start)
	if errors.Is(err, ErrPinRefused) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	start = time.Now()
	err = release(all)
	t.release = time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// register fills in all, of which each region has an equal part of the memory.
func (p pinned) register(pd *PD, mem []byte, all []*MR) (err error) {
	each := p.bytes / p.regions
	for i := range all {
		if all[i], err = pd.RegisterMR(mem[i*each:][:each], AccessLocalWrite|AccessRemoteWrite); err != nil {
			return err
		}
	}
	return nil
}

func release(all []*MR) error {
	for _, mr := range all {
		if err := mr.Close(); err != nil {
			return err
		}
	}
	return nil
}

// memory is how much of this process a region takes, beside its pages: of what is resident, or of Go's
// heap where that grew by more.
func (p pinned) memory(b *testing.B) float64 {
	pd, err := openDevice(b).AllocPD()
	if err != nil {
		b.Fatal(err)
	}
	mem, err := unix.Mmap(-1, 0, p.bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(mem)
	all := make([]*MR, p.regions)
	clear(all) // touched
	heap, resident := processMemory(b)
	if err := p.register(pd, mem, all); err != nil {
		b.Fatal(err)
	}
	heapAfter, residentAfter := processMemory(b)
	if err := release(all); err != nil {
		b.Fatal(err)
	}
	return max(heapAfter-heap, residentAfter-resident) / float64(p.regions)
}

// processMemory is, in bytes, what is alive on Go's heap, and what is resident of this process and no file's.
func processMemory(b *testing.B) (heap, resident float64) {
	debug.FreeOSMemory() // which collects, too
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	self, err := procfs.Self()
	if err != nil {
		b.Fatal(err)
	}
	status, err := self.NewStatus()
	if err != nil {
		b.Fatal(err)
	}
	return float64(stats.HeapAlloc), float64(status.RssAnon)
}

// libibverbs runs the C program, a process for each time.
func (p pinned) libibverbs(b *testing.B, _ *PD, name string) pinTimes {
	d, err := FindDevice("/sys", "")
	if err != nil {
		b.Fatal(err)
	}
	program, err := filepath.Abs(*pinProgram)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{d.Name, fmt.Sprint(p.bytes), fmt.Sprint(p.regions)}
	if name != "" {
		args = append(args, name)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			b.Fatalf("%s: %v: %s", program, err, exit.Stderr)
		}
		b.Fatal(err)
	}
	var t pinTimes
	if _, err := fmt.Sscan(string(out), &t.pin, &t.release); err != nil {
		b.Fatalf("%s printed %q: %v", program, out, err)
	}
	return t
}
