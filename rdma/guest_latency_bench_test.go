//go:build guest

package rdma

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// BenchmarkLatency has two processes answer each other's RDMA WRITE, as ib_write_lat does, in turn with
// it: each spins on the memory that the other one writes to, and on its own completion, and neither posts inline, of which
// ib_write_lat says so. One iteration is one run of each.
func BenchmarkLatency(b *testing.B) {
	if runtime.NumCPU() < 2 && !testing.Short() {
		b.Skip("two processes that spin on one processor measure its scheduler: give the guest two (lab exec --cpus 2)")
	}
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			count := 200 // some seconds, on two processors
			if testing.Short() {
				count = 20
			}
			var theirs []float64
			var ours [len(bothBackends)][]float64
			inTurn(b, func() { theirs = append(theirs, perftestLatency(b, size, count)) }, func(i int, backend Backend) {
				ours[i] = append(ours[i], latency(b, rally{Backend: backend, Size: size, Count: count}))
			})
			b.ReportMetric(median(theirs), "ib_write_lat-us")
			for i, backend := range bothBackends {
				b.ReportMetric(median(ours[i]), string(backend)+"-us")
				b.ReportMetric(median(ours[i])/median(theirs), string(backend)+"-ratio")
			}
		})
	}
}

// perftestLatency is the average that ib_write_lat prints, in microseconds: of half a round trip.
func perftestLatency(b *testing.B, size, count int) float64 {
	// Bytes, iterations, least, most, typical and average.
	return perftest(b, "ib_write_lat", size, count, fmt.Sprintf(`(?m)^\s*%d\s+%d\s+\S+\s+\S+\s+\S+\s+(\S+)`, size, count))
}

// rally is what both processes do: Count writes of Size bytes each.
type rally struct {
	Backend     Backend
	Size, Count int
}

// player is one of the two.
type player struct {
	rally
	cq       *CQ
	qp       *QP
	path     Path
	out, in  []byte // of mem, a message each
	region   *MR
	requests []Request
}

// endOfRally is what the other one has to know. Path is that of both.
type endOfRally struct {
	Address Address
	Target  uint64
	RKey    uint32
}

// latency is half a round trip, in microseconds, with another process of this program.
func latency(b *testing.B, r rally) float64 {
	ctx := openDeviceThrough(b, r.Backend)
	defer ctx.Close()
	p, err := newPlayer(ctx, anonymous(b, 2*r.Size), r)
	if err != nil {
		b.Fatal(err)
	}
	other := exec.CommandContext(b.Context(), os.Args[0])
	other.Env, other.Stderr = append(os.Environ(), roleVariable+"="+roleLatency), os.Stderr
	to, err := other.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	from, err := other.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := other.Start(); err != nil {
		b.Fatal(err)
	}
	if err = json.NewEncoder(to).Encode(r); err == nil {
		err = p.meet(from, to)
	}
	start := time.Now()
	if err == nil {
		err = p.play(true)
	}
	took := time.Since(start)
	if err != nil {
		_ = other.Process.Kill()
	}
	if failed := other.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		b.Fatal(err)
	}
	return took.Seconds() * 1e6 / float64(2*r.Count)
}

// playLatency is the other process.
func playLatency() error {
	var r rally
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&r); err != nil {
		return err
	}
	d, err := FindDevice("/sys", "")
	if err != nil {
		return err
	}
	ctx, err := OpenThrough(d, r.Backend)
	if err != nil {
		return err
	}
	defer ctx.Close()
	mem, err := mapAnonymous(2 * r.Size)
	if err != nil {
		return err
	}
	p, err := newPlayer(ctx, mem, r)
	if err == nil {
		err = p.meet(io.MultiReader(in.Buffered(), os.Stdin), os.Stdout)
	}
	if err != nil {
		return err
	}
	return p.play(false)
}

func newPlayer(ctx *Context, mem []byte, r rally) (p *player, err error) {
	p = &player{rally: r, out: mem[:r.Size], in: mem[r.Size:]}
	pd, err := ctx.AllocPD()
	if err != nil {
		return nil, err
	}
	if p.cq, err = ctx.CreateCQ(benchDepth); err != nil {
		return nil, err
	}
	if p.region, err = pd.RegisterMR(mem, AccessLocalWrite|AccessRemoteWrite); err != nil {
		return nil, err
	}
	if p.qp, err = pd.CreateQP(QPConfig{SendCQ: p.cq}); err != nil {
		return nil, err
	}
	p.path, err = ctx.Path(PathConfig{GIDIndex: AutoGID})
	return p, err
}

// meet tells the other one where to write to, and connects with it.
func (p *player) meet(from io.Reader, to io.Writer) error {
	mine := endOfRally{Address: p.qp.Address(), Target: p.region.Addr() + uint64(p.Size), RKey: p.region.RKey()}
	if err := json.NewEncoder(to).Encode(mine); err != nil {
		return err
	}
	var theirs endOfRally
	in := json.NewDecoder(from)
	if err := in.Decode(&theirs); err != nil {
		return err
	}
	if err := p.qp.Connect(theirs.Address, p.path); err != nil {
		return err
	}
	p.requests = []Request{{
		Local: Slice{MR: p.region, Length: p.Size}, RemoteAddr: theirs.Target, RKey: theirs.RKey, Signaled: true,
	}}
	// Both are connected before one writes.
	if err := json.NewEncoder(to).Encode(true); err != nil {
		return err
	}
	var ready bool
	return in.Decode(&ready)
}

// play writes as often as the other one does; the last word of a message says which it is.
func (p *player) play(first bool) error {
	wc := make([]Completion, 1)
	for n := uint32(1); n <= uint32(p.Count); n++ {
		if !first {
			awaitWord(p.in, n)
		}
		setWord(p.out, n)
		if _, err := p.qp.PostAll(p.requests); err != nil {
			return err
		}
		if err := p.sent(wc); err != nil {
			return err
		}
		if first {
			awaitWord(p.in, n)
		}
	}
	return nil
}

// sent spins until the message is known to have arrived.
func (p *player) sent(wc []Completion) error {
	for {
		n, err := p.cq.Poll(wc)
		if err != nil {
			return err
		}
		if n == 1 {
			return wc[0].Err()
		}
	}
}
