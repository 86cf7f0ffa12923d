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

// BenchmarkAgainstPerftest runs the programs of package perftest and this
// package in turn, with the same queue depth, and reports the bandwidth of both
// and the ratio of their medians. One iteration is one run of each:
//
//	umemstress lab exec -- /tmp/rdma.test -test.run '^$' -test.bench Perftest -test.benchtime 7x
func BenchmarkAgainstPerftest(b *testing.B) {
	for _, c := range []struct {
		program     string
		op          Op
		size, count int
	}{
		{"ib_write_bw", OpWrite, 65536, 800}, {"ib_write_bw", OpWrite, 4096, 8000},
		{"ib_send_bw", OpSend, 65536, 800}, {"ib_send_bw", OpSend, 4096, 8000},
	} {
		b.Run(fmt.Sprintf("%s/%d", c.program, c.size), func(b *testing.B) {
			var theirs, ours []float64
			for b.Loop() {
				theirs = append(theirs, perftestBandwidth(b, c.program, c.size, c.count))
				ours = append(ours, bandwidth(b, c.op, c.size, c.count))
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

// bandwidth is in MiB/s, as perftest has it: of messages, at their receiver.
func bandwidth(b *testing.B, op Op, size, count int) float64 {
	e := newEndpoint(b, benchDepth)
	defer e.ctx.Close()
	received, err := e.ctx.CreateCQ(benchDepth)
	if err != nil {
		b.Fatal(err)
	}
	if op == OpSend {
		e.receiveThrough(b, received, benchDepth)
	}
	from, to := register(b, e.pd, anonymous(b, size)), register(b, e.pd, anonymous(b, size))
	const batch = benchDepth / 2
	requests := make([]Request, batch)
	for i := range requests {
		requests[i] = Request{Op: op, Local: Slice{MR: from, Length: size}, RemoteAddr: to.Addr(), RKey: to.RKey()}
	}
	requests[batch-1].Signaled = true
	receives := make([]Receive, batch)
	for i := range receives {
		receives[i].Local = Slice{MR: to, Length: size}
	}
	completions := make([]Completion, benchDepth)
	posted, done := 0, 0
	start := time.Now()
	for done < count {
		for posted < count && posted-done+batch <= benchDepth {
			if op == OpSend {
				if _, err := e.peer.PostReceives(receives); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := e.qp.PostAll(requests); err != nil {
				b.Fatal(err)
			}
			posted += batch
		}
		n, err := e.cq.Wait(b.Context(), completions)
		for left := n * batch; op == OpSend && err == nil && left > 0; {
			var k int
			k, err = received.Wait(b.Context(), completions[:min(left, benchDepth)])
			left -= k
		}
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

// receiveThrough gives the endpoint another peer, which can receive.
func (e *endpoint) receiveThrough(b *testing.B, received *CQ, depth int) {
	path, err := e.ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err == nil {
		e.qp, err = e.pd.CreateQP(QPConfig{SendCQ: e.cq, MaxSend: depth})
	}
	if err == nil {
		e.peer, err = e.pd.CreateQP(QPConfig{SendCQ: e.cq, RecvCQ: received, MaxRecv: depth})
	}
	if err == nil {
		err = ConnectLoopback(e.qp, e.peer, path)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// perftestBandwidth is the average that a program of perftest prints.
func perftestBandwidth(b *testing.B, program string, size, count int) float64 {
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
	server := exec.Command(program, args...)
	if err := server.Start(); err != nil {
		b.Fatalf("%v (apt-get install perftest)", err)
	}
	// The server says nothing when it listens.
	var out []byte
	for range 20 {
		time.Sleep(500 * time.Millisecond)
		if out, err = exec.Command(program, append(args, "127.0.0.1")...).CombinedOutput(); err == nil {
			break
		}
	}
	if err != nil {
		_ = server.Process.Kill()
		_ = server.Wait()
		b.Fatalf("%s: %v\n%s", program, err, out)
	}
	if err := server.Wait(); err != nil {
		b.Fatalf("server of %s: %v", program, err)
	}
	// Bytes, iterations, peak and average bandwidth, message rate.
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d +%d +\S+ +(\S+)`, size, count)).FindSubmatch(out)
	if row == nil {
		b.Fatalf("no result of %s:\n%s", program, out)
	}
	average, err := strconv.ParseFloat(string(row[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return average
}
