// Package peer has the end of the holder rdma that the bytes come from on another host. The
// other side is umemstress peer, started there by a command of the user's, such as ssh; what is
// said goes through its standard input and output, a line of JSON for each request and reply.
package peer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// Peer is the other host's end.
type Peer struct {
	command *exec.Cmd
	asks    io.WriteCloser
	tells   io.Closer // what it answers on
	answers *bufio.Reader
	said    lastLine // what the command had to say beside, on its stderr
	host    string
	device  record.Device
	place   end.Place
	config  end.Config
	source  [sha256.Size]byte // of what the region there is filled with
	filled  bool
	broken  error // of the connection: no more is said
}

// How long the peer may take to answer. A link that has stopped is told of by the end after 30 s.
const (
	answerBound = 45 * time.Second
	endBound    = 5 * time.Second // to end, once nothing more is asked
)

// Open starts the peer by a command, as a shell understands it, and has it open its device.
func Open(ctx context.Context, command string, c end.Config) (_ *Peer, err error) {
	p := &Peer{command: exec.Command("sh", "-c", command), config: c}
	p.command.Stderr = &p.said
	if p.asks, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.tells, p.answers = answers, newLines(answers)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start the peer: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := p.greet(ctx); err != nil {
		return nil, err
	}
	answer, err := p.ask(ctx, request{Open: &openRequest{
		Verb: c.Verb, QueuePairs: c.QueuePairs,
		MTU: c.Path.MTU, SL: c.Path.ServiceLevel, TClass: c.Path.TrafficClass, PKeyIndex: c.Path.PKeyIndex,
	}})
	if err != nil {
		return nil, err
	}
	if answer.Device == nil || answer.Place == nil {
		return nil, p.garbled("no device")
	}
	p.device, p.place = *answer.Device, *answer.Place
	return p, nil
}

// greet reads the peer's first line.
func (p *Peer) greet(ctx context.Context) error {
	var g greeting
	line, err := p.read(ctx, &g)
	switch {
	case p.broken != nil:
		return p.broken
	case err != nil || g.Protocol == 0:
		p.broken = fault.Lacksf("the command of --peer does not begin as umemstress peer does, but with %.80q; does a shell on the way print something of its own?", bytes.TrimSpace(line))
		return p.broken
	case g.Protocol != protocol:
		p.broken = fault.Lacksf("the peer on %s is umemstress %s, which speaks another version (%d) than this one (%d): install the same there", g.Host, g.Version, g.Protocol, protocol)
		return p.broken
	}
	p.host = g.Host
	return nil
}

// ask sends a request and returns the answer to it, or its error.
func (p *Peer) ask(ctx context.Context, r request) (answer reply, err error) {
	if p.broken != nil {
		return reply{}, p.broken
	}
	if err := writeLine(p.asks, r); err != nil {
		return reply{}, p.gone(err)
	}
	line, err := p.read(ctx, &answer)
	switch {
	case p.broken != nil:
		return reply{}, p.broken
	case err != nil:
		return reply{}, p.garbled(fmt.Sprintf("%.80q", line))
	case answer.Error == nil:
		return answer, nil
	case answer.Error.Lacks:
		return answer, fault.Lacksf("the peer on %s: %s", p.host, answer.Error.Text)
	}
	return answer, fmt.Errorf("the peer on %s: %s", p.host, answer.Error.Text)
}

// read reads a line, for as long as the peer may take.
func (p *Peer) read(ctx context.Context, into any) (line []byte, err error) {
	read := make(chan struct{})
	go func() {
		defer close(read)
		line, err = readLine(p.answers, into)
	}()
	bound := time.NewTimer(answerBound)
	defer bound.Stop()
	select {
	case <-read:
	case <-ctx.Done():
		p.broken = ctx.Err()
	case <-bound.C:
		p.broken = fmt.Errorf("the peer%s has not answered for %v: is it stopped, or its network?", p.where(), answerBound)
	}
	if p.broken != nil {
		p.end() // or the read would last
		return nil, p.broken
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return line, p.gone(err)
	}
	return line, err
}

// gone is of a connection that has ended.
func (p *Peer) gone(err error) error {
	what := p.said.String()
	if what == "" {
		what = err.Error()
	}
	p.broken = fmt.Errorf("the peer%s has ended: %s", p.where(), what)
	if p.host == "" { // it never was one
		p.broken = fault.Lacksf("the command of --peer ended without a word of umemstress peer: %s", what)
	}
	return p.broken
}

func (p *Peer) garbled(what string) error {
	p.broken = fmt.Errorf("the peer%s answers what is none: %s", p.where(), what)
	return p.broken
}

func (p *Peer) where() string {
	if p.host == "" {
		return ""
	}
	return " on " + p.host
}

// Device is the other host's.
func (p *Peer) Device() record.Peer {
	d := p.device
	return record.Peer{Host: p.host, Name: d.Name, Driver: d.Driver, Backend: d.Backend, BackendWhy: d.BackendWhy}
}

// Place is where its end can be reached.
func (p *Peer) Place() end.Place { return p.place }

// Sends is as of an End.
func (p *Peer) Sends(back bool) bool { return p.config.Sends(back) }

// Connect connects its queue pairs.
func (p *Peer) Connect(ctx context.Context, to end.Place) error {
	_, err := p.ask(ctx, request{Connect: &to})
	return err
}

// Register has a region as long as the source registered there.
func (p *Peer) Register(ctx context.Context, source *memory.Region) (end.Region, error) {
	answer, err := p.ask(ctx, request{Register: &registerRequest{Bytes: source.Length}})
	if err == nil && answer.Region == nil {
		err = p.garbled("no region")
	}
	if err != nil {
		return end.Region{}, err
	}
	return *answer.Region, nil
}

// Begin is as of an End.
func (p *Peer) Begin(ctx context.Context, theirs end.Region, pass holder.Pass) error {
	_, err := p.ask(ctx, request{Begin: &beginRequest{Theirs: theirs, Pass: pass}})
	return err
}

// Fill has the region there hold the same bytes as the source, where it does not yet.
func (p *Peer) Fill(ctx context.Context, source *memory.Region) error {
	sum := sha256.Sum256(source.Bytes)
	if p.filled && sum == p.source {
		return nil
	}
	for at := int64(0); at < source.Length; at += chunkBytes {
		chunk := source.Bytes[at:min(at+chunkBytes, source.Length)]
		if _, err := p.ask(ctx, request{Fill: &fillRequest{At: at, Bytes: chunk}}); err != nil {
			return err
		}
	}
	p.source, p.filled = sum, true
	return nil
}

// Expect is as of an End.
func (p *Peer) Expect(ctx context.Context, o end.Order) error {
	_, err := p.ask(ctx, request{Expect: &o})
	return err
}

// Send is as of an End.
func (p *Peer) Send(ctx context.Context, o end.Order) (end.Done, error) {
	answer, err := p.ask(ctx, request{Send: &o})
	if answer.Done == nil {
		if err == nil {
			err = p.garbled("nothing done")
		}
		return end.Done{To: o.To}, err
	}
	if d := *answer.Done; err == nil && (d.Messages < 1 || d.Messages > o.Messages || d.To <= o.To) {
		err = p.garbled(fmt.Sprintf("%+v done of %+v", d, o))
	}
	return *answer.Done, err
}

// Await is as of an End.
func (p *Peer) Await(ctx context.Context) error {
	_, err := p.ask(ctx, request{Await: true})
	return err
}

// ClosePairs closes its queue pairs.
func (p *Peer) ClosePairs(ctx context.Context) error {
	_, err := p.ask(ctx, request{ClosePairs: true})
	return err
}

// Deregister releases its region.
func (p *Peer) Deregister(ctx context.Context) error {
	_, err := p.ask(ctx, request{Deregister: true})
	return err
}

// end has no more said to the command, or heard of it: it has gone another way than a peer does.
func (p *Peer) end() {
	_ = p.command.Process.Kill()
	_ = p.asks.Close()
	_ = p.tells.Close()
}

// Close ends the peer. What it ends with is told where nothing else went wrong.
func (p *Peer) Close() error {
	if p.command == nil {
		return nil
	}
	command := p.command
	_ = p.asks.Close() // the peer ends at the end of its input
	if p.broken != nil {
		p.end()
	}
	p.command = nil
	kill := time.AfterFunc(endBound, func() { _ = command.Process.Kill() })
	defer kill.Stop()
	command.WaitDelay = endBound
	err := command.Wait()
	if err == nil || p.broken != nil {
		return nil
	}
	return fmt.Errorf("end the peer%s: %w: %s", p.where(), err, p.said.String())
}
