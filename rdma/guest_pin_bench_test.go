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
	"slices"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

var pinProgram = flag.String("pin-program", "", "the compiled testdata/pin.c, which BenchmarkPin compares with")

// BenchmarkPin registers and deregisters regions through each backend, in turn with a C
// program over libibverbs that does the same, and reports the median times of
// all and the ratios. Of a file or of fresh anonymous memory, registration finds a mapping
// that nobody has touched, the file's blocks allocated and its pages not in the
// cache; a page has been touched, and so has a large region, so that nothing but the registration is timed.
// One iteration is one run of each:
//
//	cc -O2 -o bin/pin rdma/testdata/pin.c -libverbs
//	umemstress lab exec -- /tmp/rdma.test -test.run '^$' -test.bench Pin -test.benchtime 7x -pin-program=$PWD/bin/pin
func BenchmarkPin(b *testing.B) {
	if *pinProgram == "" {
		b.Fatal("no -pin-program: make it with\n\tcc -O2 -o bin/pin rdma/testdata/pin.c -libverbs\n" +
			"(apt-get install gcc libc6-dev libibverbs-dev) and give -pin-program=$PWD/bin/pin")
	}
	page := os.Getpagesize()
	b.Run("file", func(b *testing.B) { benchmarkPin(b, pinned{bytes: pinBytes, regions: 1, rounds: 1}, newFallocated) })
	b.Run("anonymous", func(b *testing.B) { benchmarkPin(b, pinned{bytes: pinBytes, regions: 1, rounds: 1}, anonymousPin) })
	b.Run("page", func(b *testing.B) {
		benchmarkPin(b, pinned{bytes: page, regions: 1, rounds: pageRounds, touched: true}, anonymousPin)
	})
	b.Run("large", func(b *testing.B) {
		benchmarkPin(b, pinned{bytes: largeBytes, regions: 1, rounds: 1, touched: true}, anonymousPin)
	})
	b.Run("many", func(b *testing.B) {
		many := pinned{bytes: manyRegions * page, regions: manyRegions, rounds: 1}
		benchmarkPin(b, many, anonymousPin)
		for _, backend := range bothBackends {
			b.ReportMetric(many.memory(b, backend), "B/region-"+string(backend))
		}
	})
}

const (
	pinBytes    = 64 << 20
	largeBytes  = 256 << 20
	manyRegions = 10_000
	pageRounds  = 2_000
)

// bothBackends are what has to keep up with C.
var bothBackends = [...]Backend{Uverbs, IBVerbs}

// pinned is memory, as how many regions it is registered, how often, and whether it has its pages before.
type pinned struct {
	bytes, regions, rounds int
	touched                bool
}

func anonymousPin(*testing.B) string { return "" }

// pinTimes are the two phases of one region's life.
type pinTimes struct{ pin, release time.Duration }

// benchmarkPin takes a region of its own for each run: newFile names its file, or
// "" for anonymous memory.
func benchmarkPin(b *testing.B, p pinned, newFile func(*testing.B) string) {
	var theirs [2][]float64
	var ours [len(bothBackends)][2][]float64
	domains := map[Backend]*PD{}
	for _, backend := range bothBackends {
		domains[backend] = openDomain(b, backend)
	}
	add := func(to *[2][]float64, times func(string) pinTimes) {
		name := newFile(b)
		// What the run before left to write back is not to be in the way.
		unix.Sync()
		t := times(name)
		to[0], to[1] = append(to[0], milliseconds(t.pin)), append(to[1], milliseconds(t.release))
		if name != "" {
			if err := os.Remove(name); err != nil {
				b.Fatal(err)
			}
		}
	}
	inTurn(b, func() { add(&theirs, func(name string) pinTimes { return p.libibverbs(b, name) }) }, func(i int, backend Backend) {
		add(&ours[i], func(name string) pinTimes { return p.pin(b, domains[backend], name) })
	})
	for i, phase := range []string{"pin", "release"} {
		b.ReportMetric(median(theirs[i]), phase+"-C-ms")
		for j, backend := range bothBackends {
			b.ReportMetric(median(ours[j][i]), phase+"-"+string(backend)+"-ms")
			b.ReportMetric(median(ours[j][i])/median(theirs[i]), phase+"-"+string(backend)+"-ratio")
		}
	}
}

// openDomain is a protection domain of the lab's device through a backend.
func openDomain(b *testing.B, backend Backend) *PD {
	b.Helper()
	pd, err := openDeviceThrough(b, backend).AllocPD()
	if err != nil {
		b.Fatal(err)
	}
	return pd
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
	if p.touched {
		flags |= unix.MAP_POPULATE
	}
	mem, err := unix.Mmap(fd, 0, p.bytes, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(mem)

	mems := p.split(mem)
	clock := time.Now()
	for range p.rounds {
		start := time.Since(clock)
		all, err := registerAll(pd, mems)
		pinned := time.Since(clock)
		if errors.Is(err, ErrPinRefused) {
			b.Skip(err)
		}
		if err != nil {
			b.Fatal(err)
		}
		if err = closeAll(all); err != nil {
			b.Fatal(err)
		}
		t.pin += pinned - start
		t.release += time.Since(clock) - pinned
	}
	return t
}

// registerAll makes a region of each memory, as a program does that has one or many.
func registerAll(pd *PD, mems [][]byte) ([]*MR, error) {
	if len(mems) == 1 {
		mr, err := pd.RegisterMR(mems[0], AccessLocalWrite|AccessRemoteWrite)
		return []*MR{mr}, err
	}
	return pd.RegisterMRs(mems, AccessLocalWrite|AccessRemoteWrite)
}

// closeAll ends them as such a program does.
func closeAll(all []*MR) error {
	if len(all) == 1 {
		return all[0].Close()
	}
	return CloseMRs(all)
}

// split gives each region an equal part of the memory.
func (p pinned) split(mem []byte) [][]byte {
	return slices.Collect(slices.Chunk(mem, p.bytes/p.regions))
}

// memory is how much of this process a region takes, beside its pages: of what is resident, or of Go's
// heap where that grew by more.
func (p pinned) memory(b *testing.B, backend Backend) float64 {
	pd := openDomain(b, backend)
	mem, err := unix.Mmap(-1, 0, p.bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(mem)
	mems := p.split(mem)
	heap, resident := processMemory(b)
	all, err := registerAll(pd, mems)
	if err != nil {
		b.Fatal(err)
	}
	heapAfter, residentAfter := processMemory(b)
	runtime.KeepAlive(mems) // counted before, and so not to be freed between
	if err := closeAll(all); err != nil {
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
func (p pinned) libibverbs(b *testing.B, name string) pinTimes {
	d, err := FindDevice("/sys", "")
	if err != nil {
		b.Fatal(err)
	}
	program, err := filepath.Abs(*pinProgram)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{d.Name, fmt.Sprint(p.bytes), fmt.Sprint(p.regions), fmt.Sprint(p.rounds), "fresh"}
	if p.touched {
		args[len(args)-1] = "touched"
	}
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
