//go:build guest

package rdma

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// BenchmarkAgainstPerftest runs the programs of package perftest and each backend of this
// package in turn, with the same queue depth and as many completions, and reports the bandwidth of all
// and the ratios of their medians. One iteration is one run of each:
//
//	umemstress lab exec -- /tmp/rdma.test -test.run '^$' -test.bench Perftest -test.benchtime 7x
//
// With -test.short it is a few messages of some, to see that they work.
func BenchmarkAgainstPerftest(b *testing.B) {
	for _, program := range []struct {
		name string
		op   Op
	}{{"ib_write_bw", OpWrite}, {"ib_read_bw", OpRead}, {"ib_send_bw", OpSend}} {
		for _, size := range trafficSizes {
			for _, pairs := range []int{1, 16} {
				if testing.Short() && (size.bytes != 64 || pairs != 1) && (size.bytes != 65536 || pairs != 16) {
					continue
				}
				b.Run(fmt.Sprintf("%s/%d/%d", program.name, size.bytes, pairs), func(b *testing.B) {
					againstPerftest(b, program.name, traffic{op: program.op, size: size.bytes, pairs: pairs, each: size.messages() / pairs})
				})
			}
		}
	}
}

// trafficSizes are those of messages, and how many take about a second under emulation.
var trafficSizes = []trafficSize{{64, 65536}, {4096, 16384}, {65536, 2048}, {1 << 20, 256}}

type trafficSize struct{ bytes, second int }

func (s trafficSize) messages() int {
	if testing.Short() {
		return 128
	}
	return s.second
}

func againstPerftest(b *testing.B, program string, t traffic) {
	if t.op == OpSend && runtime.NumCPU() < 2 && !testing.Short() {
		b.Skip("rdma_rxe of 5.10 sends what finds no receive again without a pause, and ib_send_bw's receiver never gets the only " +
			"processor (a soft lockup was seen): give the guest two (lab exec --cpus 2)")
	}
	var theirs []float64
	var ours, posting [len(bothBackends)][]float64
	inTurn(b, func() { theirs = append(theirs, perftestBandwidth(b, program, t)) }, func(i int, backend Backend) {
		bandwidth, share := t.bandwidth(b, backend)
		ours[i], posting[i] = append(ours[i], bandwidth), append(posting[i], share)
	})
	b.ReportMetric(median(theirs), "perftest-MiB/s")
	for i, backend := range bothBackends {
		b.ReportMetric(median(ours[i]), string(backend)+"-MiB/s")
		b.ReportMetric(median(ours[i])/median(theirs), string(backend)+"-ratio")
		b.ReportMetric(100*median(posting[i]), string(backend)+"-posting-%")
	}
}

// inTurn has the peer and each backend run once in an iteration, in another order each time: what one leaves behind, such as a
// processor that is not idle yet, is not to be always in the way of the same other one.
func inTurn(b *testing.B, peer func(), ours func(i int, backend Backend)) {
	runs := []func(){peer}
	for i, backend := range bothBackends {
		runs = append(runs, func() { ours(i, backend) })
	}
	for b.Loop() {
		rand.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
		for _, run := range runs {
			run()
		}
	}
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// What perftest does by default: so many messages of a queue pair under way, and of small ones a
// completion each hundredth, of others each. What is posted at once here has one for all in place of the former.
const (
	benchDepth    = 128
	benchBatch    = 64
	moderatedSize = 8192 // MSG_SIZE_CQ_MOD_LIMIT, perftest_parameters.h
)

// traffic is messages of a size over queue pairs of one device with each other.
type traffic struct {
	op                Op
	size, pairs, each int // each: messages of a queue pair
}

// lane is a queue pair, its peer, and what it has under way.
type lane struct {
	qp, peer            *QP
	requests            []Request
	receives            []Receive
	posted, sent, taken int
}

// station is a device, its lanes, and the queues where they complete.
type station struct {
	sent, received *CQ
	lanes          []*lane
	byNumber       map[uint32]*lane // of the queue pairs and of their peers
	completions    []Completion
}

// bandwidth is in MiB/s, as perftest has it: of messages, at their receiver. Nothing is posted, and no
// memory touched, before the clock runs, but what perftest has touched by then. The share of the time that posting takes is
// what rdma_rxe of 5.10 spends in that call to move the bytes: nearly all, of large messages.
func (t traffic) bandwidth(b *testing.B, backend Backend) (bandwidth, posting float64) {
	ctx := openDeviceThrough(b, backend)
	defer ctx.Close()
	s := t.station(b, ctx)
	start := time.Now()
	var posts time.Duration
	for done := 0; done < t.pairs*t.each; {
		began := time.Now()
		for _, l := range s.lanes {
			t.post(b, l)
		}
		posts += time.Since(began)
		done += s.take(b, t.op)
	}
	took := time.Since(start).Seconds()
	return float64(t.size*t.pairs*t.each) / took / (1 << 20), posts.Seconds() / took
}

func (t traffic) station(b *testing.B, ctx *Context) *station {
	pd, err := ctx.AllocPD()
	if err != nil {
		b.Fatal(err)
	}
	path, err := ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err != nil {
		b.Fatal(err)
	}
	s := &station{byNumber: map[uint32]*lane{}, completions: make([]Completion, benchBatch)}
	if s.sent, err = ctx.CreateCQ(t.pairs * benchDepth); err != nil {
		b.Fatal(err)
	}
	if s.received, err = ctx.CreateCQ(t.pairs * benchDepth); err != nil {
		b.Fatal(err)
	}
	for range t.pairs {
		l := t.lane(b, pd, s, path)
		s.lanes = append(s.lanes, l)
		s.byNumber[l.qp.Address().QPN], s.byNumber[l.peer.Address().QPN] = l, l
	}
	return s
}

func (t traffic) lane(b *testing.B, pd *PD, s *station, path Path) *lane {
	l := &lane{}
	var err error
	if l.qp, err = pd.CreateQP(QPConfig{SendCQ: s.sent, MaxSend: benchDepth}); err != nil {
		b.Fatal(err)
	}
	if l.peer, err = pd.CreateQP(QPConfig{SendCQ: s.sent, RecvCQ: s.received, MaxRecv: benchDepth}); err != nil {
		b.Fatal(err)
	}
	if err := ConnectLoopback(l.qp, l.peer, path); err != nil {
		b.Fatal(err)
	}
	const access = AccessLocalWrite | AccessRemoteWrite | AccessRemoteRead
	var ends [2]*MR
	for i := range ends {
		if ends[i], err = pd.RegisterMR(anonymous(b, t.size), access); err != nil {
			b.Fatal(err)
		}
	}
	from, to := ends[0], ends[1]
	request := Request{Op: t.op, Local: Slice{MR: from, Length: t.size}, RemoteAddr: to.Addr(), RKey: to.RKey(), Signaled: t.size > moderatedSize}
	l.requests = slices.Repeat([]Request{request}, min(benchBatch, t.each))
	l.requests[len(l.requests)-1].Signaled = true
	if t.op == OpSend {
		l.receives = slices.Repeat([]Receive{{Local: Slice{MR: to, Length: t.size}}}, len(l.requests))
	}
	return l
}

// post posts all batches that there is room for. The messages of a lane are whole batches.
func (t traffic) post(b *testing.B, l *lane) {
	batch := len(l.requests)
	for l.posted < t.each && l.posted-l.sent+batch <= benchDepth && l.posted-l.taken+batch <= benchDepth {
		if t.op == OpSend {
			if _, err := l.peer.PostReceives(l.receives); err != nil {
				b.Fatal(err)
			}
		} else {
			l.taken += batch // nobody is told
		}
		if _, err := l.qp.PostAll(l.requests); err != nil {
			b.Fatal(err)
		}
		l.posted += batch
	}
}

// take waits for completions, and says how many messages are done: of what is received, at its receiver.
func (s *station) take(b *testing.B, op Op) (done int) {
	if op != OpSend {
		return s.takeSent(b, s.sent.Wait)
	}
	s.takeSent(b, func(_ context.Context, wc []Completion) (int, error) { return s.sent.Poll(wc) })
	if !slices.ContainsFunc(s.lanes, func(l *lane) bool { return l.taken < l.posted }) {
		s.takeSent(b, s.sent.Wait)
		return 0
	}
	n, err := s.received.Wait(b.Context(), s.completions)
	s.check(b, n, err)
	for _, c := range s.completions[:n] {
		s.byNumber[c.QPN].taken++
	}
	return n
}

// takeSent takes completions of requests.
func (s *station) takeSent(b *testing.B, poll func(context.Context, []Completion) (int, error)) (done int) {
	n, err := poll(b.Context(), s.completions)
	s.check(b, n, err)
	for _, c := range s.completions[:n] {
		l, each := s.byNumber[c.QPN], 1
		if !l.requests[0].Signaled {
			each = len(l.requests)
		}
		l.sent += each
		done += each
	}
	return done
}

// check ends the benchmark if one of the first n completions failed.
func (s *station) check(b *testing.B, n int, err error) {
	for i := 0; i < n && err == nil; i++ {
		err = s.completions[i].Err()
	}
	if err != nil {
		b.Fatal(err)
	}
}
