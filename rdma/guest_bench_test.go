//go:build guest

package rdma

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkWriteAgainstPerftest runs ib_write_bw (package perftest) and this
// package in turn, with the same queue depth, and reports the bandwidth of both
// and the ratio of their medians. One iteration is one run of each:
//
//	umemstress lab exec -- /tmp/rdma.test -test.run '^$' -test.bench Perftest -test.benchtime 7x
func BenchmarkWriteAgainstPerftest(b *testing.B) {
	for _, c := range []struct{ size, count int }{{65536, 800}, {4096, 8000}} {
		b.Run(fmt.Sprint(c.size), func(b *testing.B) {
			var theirs, ours []float64
			for b.Loop() {
				theirs = append(theirs, perftestBandwidth(b, c.size, c.count))
				ours = append(ours, writeBandwidth(b, c.size, c.count))
			}
			b.ReportMetric(median(theirs), "perftest-MiB/s")
			b.ReportMetric(median(ours), "MiB/s")
			b.ReportMetric(median(ours)/median(theirs), "ratio")
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

const benchDepth = 128

// writeBandwidth is in MiB/s, as perftest has it.
func writeBandwidth(b *testing.B, size, count int) float64 {
	e := newEndpoint(b, benchDepth)
	defer e.ctx.Close()
	from, to := register(b, e.pd, anonymous(b, size)), register(b, e.pd, anonymous(b, size))
	const batch = benchDepth / 2
	requests := make([]Request, batch)
	for i := range requests {
		requests[i] = Request{Local: Slice{MR: from, Length: size}, RemoteAddr: to.Addr(), RKey: to.RKey()}
	}
	requests[batch-1].Signaled = true
	completions := make([]Completion, 4)
	posted, done := 0, 0
	start := time.Now()
	for done < count {
		for posted < count && posted-done+batch <= benchDepth {
			if _, err := e.qp.PostAll(requests); err != nil {
				b.Fatal(err)
			}
			posted += batch
		}
		n, err := e.cq.Wait(b.Context(), completions)
		if err != nil {
			b.Fatal(err)
		}
		for i := range completions[:n] {
			if err := completions[i].Err(); err != nil {
				b.Fatal(err)
			}
		}
		done += n * batch
	}
	return float64(size) * float64(done) / time.Since(start).Seconds() / (1 << 20)
}

// perftestBandwidth is the average that ib_write_bw prints.
func perftestBandwidth(b *testing.B, size, count int) float64 {
	d, err := FindDevice("/sys", "")
	if err != nil {
		b.Fatal(err)
	}
	gid, err := chooseGID(d, 1, AutoGID)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"-d", d.Name, "-x", fmt.Sprint(gid.Index), "-F",
		"-s", fmt.Sprint(size), "-n", fmt.Sprint(count), "-t", fmt.Sprint(benchDepth)}
	server := exec.Command("ib_write_bw", args...)
	if err := server.Start(); err != nil {
		b.Fatalf("%v (apt-get install perftest)", err)
	}
	// The server says nothing when it listens.
	var out []byte
	for range 20 {
		time.Sleep(500 * time.Millisecond)
		if out, err = exec.Command("ib_write_bw", append(args, "127.0.0.1")...).CombinedOutput(); err == nil {
			break
		}
	}
	if err != nil {
		_ = server.Process.Kill()
		_ = server.Wait()
		b.Fatalf("ib_write_bw: %v\n%s", err, out)
	}
	if err := server.Wait(); err != nil {
		b.Fatalf("server of ib_write_bw: %v", err)
	}
	// Bytes, iterations, peak and average bandwidth, message rate.
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d +%d +\S+ +(\S+)`, size, count)).FindSubmatch(out)
	if row == nil {
		b.Fatalf("no result of ib_write_bw:\n%s", out)
	}
	average, err := strconv.ParseFloat(string(row[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return average
}
