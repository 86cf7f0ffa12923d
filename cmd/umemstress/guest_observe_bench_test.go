//go:build guest

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// observeBT is what of 'umemstress observe' a script of bpftrace can do, for Linux 5.10.
//
//go:embed testdata/observe.bt
var observeBT string

// company is what runs beside a program that is measured: nothing, the observer, and the
// script.
var company = []string{"none", "observe", "bpftrace"}

// A figure is something that an observer may slow down; more is worse.
type figure struct {
	name    string
	measure func(*testing.B) time.Duration // of the same work each time
}

// BenchmarkObserve measures what an observer costs the programs beside it, as the ratio of the
// fastest of many: what else runs on the machine can only add to it. One iteration is a turn of
// each:
//
//	umemstress lab exec --kernel 5.10 -- /tmp/cmd.test -test.run '^$' -test.bench '^BenchmarkObserve$' -test.benchtime 7x
func BenchmarkObserve(b *testing.B) {
	figures := []figure{
		{"bandwidth", bandwidth},
		{"release-dirty", fastestRelease(b, 16384, func(*testing.B, *os.File, []byte) {})},
		{"release-bufferless", fastestRelease(b, 1024, cleanAndStrip)},
		{"write-ext4", randomWrites(b, b.TempDir())},
		{"write-tmpfs", randomWrites(b, "/dev/shm")},
	}
	fastest := map[string]map[string]time.Duration{}
	for _, who := range company {
		fastest[who] = map[string]time.Duration{}
	}
	for turn := 0; b.Loop(); turn++ {
		for i := range company {
			who := company[(turn+i)%len(company)] // nobody is always the first
			end := startBeside(b, who)
			for _, f := range figures {
				took := f.measure(b)
				if best, ok := fastest[who][f.name]; !ok || took < best {
					fastest[who][f.name] = took
				}
			}
			end()
		}
	}
	// bpftrace has this mounted, which the kernel does for whoever looks there.
	_ = unix.Unmount("/sys/kernel/debug/tracing", 0) // an error: it was not
	b.ReportMetric(0, "ns/op")
	for _, f := range figures {
		b.ReportMetric(fastest["none"][f.name].Seconds()*1e3, f.name+"-ms")
		for _, who := range company[1:] {
			b.ReportMetric(float64(fastest[who][f.name])/float64(fastest["none"][f.name]), f.name+"-"+who)
		}
	}
}

// startBeside starts what runs beside, and returns when it is attached.
func startBeside(b *testing.B, who string) (end func()) {
	b.Helper()
	var cmd *exec.Cmd
	var ready string
	switch who {
	case "none":
		return func() {}
	case "observe":
		cmd, ready = command("observe", "--format", "json"), `"started"`
	case "bpftrace":
		cmd, ready = exec.Command("bpftrace", "-e", observeBT), "attached"
	}
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatalf("%v (apt-get install bpftrace)", err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill() }) // an error: it has ended
	lines := bufio.NewReader(out)
	for said := ""; !strings.Contains(said, ready); {
		line, err := lines.ReadString('\n')
		if said += line; err != nil {
			b.Fatalf("%s: %v: %s%s", who, err, said, log.String())
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, lines) // as who writes them to a file
	}()
	return func() {
		for ended := false; !ended; {
			if err := cmd.Process.Signal(unix.SIGINT); err != nil {
				b.Fatal(err)
			}
			select {
			case <-read:
				ended = true
			case <-time.After(10 * time.Second): // bpftrace 0.17 passes over one now and then
			}
		}
		if err := cmd.Wait(); err != nil {
			b.Fatalf("%s: %v: %s", who, err, log.String())
		}
	}
}

// bandwidth is the least time of three that ib_write_bw takes for 32 MiB, by the average that it tells. On a busy
// machine it may not find out how fast the clock runs (get_clock.c, "Correlation coefficient"), and
// then tells 0: it is asked again.
func bandwidth(b *testing.B) time.Duration {
	b.Helper()
	var times []time.Duration
	for range 10 {
		if took := bandwidthOnce(b); took > 0 {
			times = append(times, took)
		}
		if len(times) == 3 {
			return slices.Min(times)
		}
	}
	b.Fatal("ib_write_bw could measure the clock less than 3 of 10 times")
	return 0
}

// bandwidthOnce is 0 where ib_write_bw could not measure.
func bandwidthOnce(b *testing.B) time.Duration {
	b.Helper()
	const size, count = 65536, 512
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"-d", device.Name, "-F", "-s", strconv.Itoa(size), "-n", strconv.Itoa(count)}
	server := exec.Command("ib_write_bw", args...)
	if err := server.Start(); err != nil {
		b.Fatalf("%v (apt-get install perftest)", err)
	}
	awaitListener(b)
	out, err := exec.Command("ib_write_bw", append(args, "127.0.0.1")...).CombinedOutput()
	if err != nil {
		_ = server.Process.Kill()
	}
	_ = server.Wait() // the client says more
	// Bytes, iterations, peak and average bandwidth, message rate.
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d +%d +\S+ +(\S+)`, size, count)).FindSubmatch(out)
	if err != nil || row == nil {
		b.Fatalf("ib_write_bw: %v: %s", err, out)
	}
	average, err := strconv.ParseFloat(string(row[1]), 64) // MiB/s
	if err == nil && average == 0 && bytes.Contains(out, []byte("Correlation coefficient")) {
		return 0
	}
	if err != nil || average <= 0 {
		b.Fatalf("%v: %s", err, out)
	}
	return time.Duration(float64(size*count>>20) / average * float64(time.Second))
}

// fastestRelease is the time of the fastest of ten releases of a region.
func fastestRelease(b *testing.B, pages int, prepare func(*testing.B, *os.File, []byte)) func(*testing.B) time.Duration {
	b.Helper()
	file, mem := mappedFile(b, pages)
	domain := protectionDomain(b)
	return func(b *testing.B) time.Duration {
		var times []time.Duration
		for range 10 {
			for i := 0; i < len(mem); i += 4096 {
				mem[i]++
			}
			mr, err := domain.RegisterMR(mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
			if err != nil {
				b.Fatal(err)
			}
			prepare(b, file, mem)
			begin := time.Now()
			if err := mr.Close(); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(begin))
		}
		return slices.Min(times)
	}
}

func cleanAndStrip(b *testing.B, file *os.File, mem []byte) {
	if err := unix.Msync(mem, unix.MS_SYNC); err != nil {
		b.Fatal(err)
	}
	// What is on another CPU's list yet is passed over by reclaim; this empties the lists.
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
	if err := unix.Madvise(mem, unix.MADV_PAGEOUT); err != nil {
		b.Fatal(err)
	}
}

// randomWrites is the time of the fastest of ten times that 16 MiB are written through the page
// cache, in 4 KiB and in no order, to pages that are clean where there is a disk.
func randomWrites(b *testing.B, dir string) func(*testing.B) time.Duration {
	b.Helper()
	const block, blocks = 4096, 4096
	file, err := os.Create(filepath.Join(dir, "umemstress-random-writes"))
	if err == nil {
		err = file.Truncate(block * blocks)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		file.Close()
		_ = os.Remove(file.Name())
	})
	order, bytes := rand.New(rand.NewPCG(1, 2)).Perm(blocks), make([]byte, block)
	return func(b *testing.B) time.Duration {
		var times []time.Duration
		for range 10 {
			begin := time.Now()
			for _, at := range order {
				if _, err := unix.Pwrite(int(file.Fd()), bytes, int64(at*block)); err != nil {
					b.Fatal(err)
				}
			}
			times = append(times, time.Since(begin))
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		return slices.Min(times)
	}
}
