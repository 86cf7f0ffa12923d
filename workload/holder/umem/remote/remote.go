// Package remote has an end of the holder rdma in another process: of another host, whose umemstress
// peer a command of the user's starts, such as ssh, or of a child of this one. What is said goes through
// its standard input and output, a line of JSON for each request and reply.
package remote

import (
	"context"
	"errors"
	"fmt"
	"os"

	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/memory"
	"umemstress/workload/latency"
	"umemstress/workload/payload"
	"umemstress/workload/record"
)

// End is an end that another process serves.
type End struct {
	line   line
	device record.Device
	place  end.Place
	filled payload.Recipe // of what the region there has
	huge   int64          // bytes of each huge page that it is of
}

// open has the process begin, and open its device.
func (p *End) open(ctx context.Context, start starter, c end.Config) (*End, error) {
	if err := p.line.begin(ctx, start); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p.openDevice(ctx, c)
}

// openDevice has the process open its device. After an error the process is ended.
func (p *End) openDevice(ctx context.Context, c end.Config) (*End, error) {
	answer, err := p.line.ask(ctx, request{Open: &openRequest{
		Connection: c.Connection, Verb: c.Verb, QueuePairs: c.QueuePairs, SRQ: c.SRQ, Depth: c.Depth, Reads: c.Reads, Events: c.Events,
		ReadOnly: c.ReadOnly, Windows: c.Windows, Rereg: c.Rereg, Pieces: c.Pieces, Inline: c.Inline, RateLimit: c.RateLimit, Manager: c.Manager,
		MTU: c.Path.MTU, SL: c.Path.ServiceLevel, TClass: c.Path.TrafficClass, PKeyIndex: c.Path.PKeyIndex, Timeout: c.Path.Timeout,
	}})
	if err == nil && (answer.Device == nil || answer.Place == nil) {
		err = p.line.garbled("no device")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.device, p.place = *answer.Device, *answer.Place
	if !p.line.child {
		p.huge = c.HugePages
	}
	return p, nil
}

// Device is the RDMA device.
func (p *End) Device() record.Device { return p.device }

// Place is where its end can be reached.
func (p *End) Place() end.Place { return p.place }

// Connect connects its queue pairs.
func (p *End) Connect(ctx context.Context, to end.Place) error {
	_, err := p.line.ask(ctx, request{Connect: &to})
	return err
}

// Register has a region registered as n memory regions: the file's itself by a child, and one as
// long as the source by another host.
func (p *End) Register(ctx context.Context, region *memory.Region, n int) (end.Region, error) {
	p.line.bytes = region.Length
	asked := registerRequest{Bytes: region.Length, Regions: n, Huge: p.huge}
	if p.line.child {
		asked.Offset, asked.Path = region.Offset, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), region.File.Fd())
	}
	answer, err := p.line.ask(ctx, request{Register: &asked})
	if err == nil && answer.Region == nil {
		err = p.line.garbled("no region")
	}
	if err != nil {
		return end.Region{}, err
	}
	return *answer.Region, nil
}

// Begin is as of an End.
func (p *End) Begin(ctx context.Context, theirs end.Region, pass holder.Pass) error {
	_, err := p.line.ask(ctx, request{Begin: &beginRequest{Theirs: theirs, Pass: pass}})
	return err
}

// Renew is as of an End.
func (p *End) Renew(ctx context.Context, theirs end.Region) error {
	_, err := p.line.ask(ctx, request{Renew: &theirs})
	return err
}

// Fill has the region there made the same as the source, where it is not yet.
func (p *End) Fill(ctx context.Context, source *memory.Region, r payload.Recipe) error {
	if p.filled == r {
		return nil
	}
	answer, err := p.line.ask(ctx, request{Fill: &r})
	if err != nil {
		return err
	}
	if want := sum(source.Bytes); answer.Sum != want {
		return p.line.garbled("it has made other bytes of the same seed; install the same version there: " + shown(answer.Sum))
	}
	p.filled = r
	return nil
}

// Expect is as of an End.
func (p *End) Expect(ctx context.Context, o end.Order) error {
	_, err := p.line.ask(ctx, request{Expect: &o})
	return err
}

// Send is as of an End.
func (p *End) Send(ctx context.Context, o end.Order) (end.Done, error) {
	answer, err := p.line.ask(ctx, request{Send: &o})
	if answer.Done == nil {
		if err == nil {
			err = p.line.garbled("nothing done")
		}
		return end.Done{To: o.To}, err
	}
	d, least := *answer.Done, 1
	if err != nil { // it may have done nothing
		least = 0
	}
	if d.Messages < least || d.Messages > o.Messages || d.To < o.To+int64(least) || d.Bytes != uint64(d.To-o.To) {
		return end.Done{To: o.To}, errors.Join(err, p.line.garbled(fmt.Sprintf("%+v done of %+v", d, o)))
	}
	return d, err
}

// Await is as of an End.
func (p *End) Await(ctx context.Context) error {
	_, err := p.line.ask(ctx, request{Await: true})
	return err
}

// Latencies are as of an End.
func (p *End) Latencies(ctx context.Context) ([]latency.Count, error) {
	answer, err := p.line.ask(ctx, request{Latencies: true})
	return answer.Latencies, err
}

// ClosePairs closes its queue pairs.
func (p *End) ClosePairs(ctx context.Context) error {
	_, err := p.line.ask(ctx, request{ClosePairs: true})
	return err
}

// Deregister releases its memory regions, by so many threads.
func (p *End) Deregister(ctx context.Context, threads int) error {
	_, err := p.line.ask(ctx, request{Deregister: threads})
	return err
}

// Close ends the process.
func (p *End) Close() error { return p.line.close() }
