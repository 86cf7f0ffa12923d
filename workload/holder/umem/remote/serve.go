package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"umemstress/rdma"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/module"
	"umemstress/workload/payload"
)

// Config is what the peer's own side chooses.
type Config struct {
	Device   string // empty: the first with an active port
	Port     int    // of the device; 0: the first active one
	GIDIndex int    // or rdma.AutoGID
	Backend  string // one of rdma.Backends
	Version  string // of this program, for the other side
	// Run does the run that the other side asks for, with the file's region here; nil: it may ask for none.
	Run func(context.Context, RunRequest, *Caller) error `json:"-"`
	holds
}

// holds is of a child, which has the file's region.
type holds struct {
	Comm string // what the kernel calls it; empty: it is no child
}

func (c Config) child() bool { return c.Comm != "" }

func (c Config) side() end.Side {
	if c.child() {
		return end.Target
	}
	return end.Source
}

// The most that the other side can ask for.
const (
	maxQueuePairs = 1024
	maxRegion     = 1 << 40
	maxThreads    = 64
)

// Serve has this host's end do what the other side asks for, line by line, until that closes r.
// Whatever is under way then ends.
func Serve(ctx context.Context, r io.Reader, w io.Writer, c Config) (err error) {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	// What interrupts this process ends what it does, and not yet what it has to say of that.
	line, drop := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, cancel := context.WithCancelCause(ctx)
	hangUp := func(cause error) {
		drop(cause)
		cancel(cause)
	}
	defer hangUp(errHungUp)
	lines := listen(line, hangUp, r)
	s := &server{config: c}
	if !c.child() { // whose end it is to leave all to the kernel
		defer func() { err = errors.Join(err, s.close()) }()
	}
	if err := writeLine(w, greeting{Protocol: protocol, Version: c.Version, Host: host}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return why(ctx)
		case came := <-lines:
			var asked request
			if err := json.Unmarshal(came, &asked); err != nil {
				return noRequest(came, err)
			}
			if asked.Run != nil && s.end == nil {
				return (&Caller{host: shown(asked.Run.Host), line: line, hangUp: hangUp, stop: cancel, w: w}).run(ctx, *asked.Run, c.Run, lines)
			}
			answer, err := s.serve(ctx, asked)
			if ctx.Err() != nil { // nobody is there to hear that it was interrupted
				return why(ctx)
			}
			answer.Error = newFailure(err)
			if err := writeLine(w, answer); err != nil {
				return err
			}
		}
	}
}

// errHungUp is of an orderly end: the other side asks for nothing more.
var errHungUp = errors.New("the other side hung up")

// why is what the context ended of, where that is an error.
func why(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, errHungUp) {
		return cause
	}
	return nil
}

// noRequest is of a line that no run says.
func noRequest(line []byte, err error) error {
	return fmt.Errorf("what came is no request of umemstress run --peer: %.80q: %w", line, err)
}

// listen reads lines, and hangs up when no more can come.
func listen(ctx context.Context, hangUp context.CancelCauseFunc, r io.Reader) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		reader := newLines(r)
		for {
			line, err := readLine(reader)
			switch {
			case errors.Is(err, io.EOF):
				hangUp(errHungUp)
				return
			case err != nil:
				hangUp(noRequest(line, err))
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// server is the end, as far as it was asked for.
type server struct {
	config  Config
	end     *end.End
	modules *module.Loaded // of the connection manager
	region  *memory.Region
}

// errOrder is of a request that comes before what it needs, or twice.
var errOrder = errors.New("the requests came in no order that umemstress run --peer has")

func (s *server) serve(ctx context.Context, r request) (reply, error) {
	switch {
	case r.Open != nil:
		return s.open(ctx, *r.Open)
	case s.end == nil:
		return reply{}, errOrder
	case r.Connect != nil:
		return reply{}, s.end.Connect(ctx, *r.Connect)
	case r.Register != nil:
		return s.register(ctx, *r.Register)
	case r.ClosePairs:
		return reply{}, s.end.ClosePairs()
	case s.region == nil:
		return reply{}, errOrder
	case r.Begin != nil:
		return reply{}, s.end.Begin(r.Begin.Theirs, r.Begin.Pass)
	case r.Renew != nil:
		return reply{}, s.end.Renew(*r.Renew)
	case r.Fill != nil:
		return s.fill(*r.Fill)
	case r.Expect != nil:
		return reply{}, s.end.Expect(*r.Expect)
	case r.Send != nil:
		done, err := s.end.Send(ctx, *r.Send)
		return reply{Done: &done}, err
	case r.Await:
		return reply{}, s.end.Await(ctx)
	case r.Latencies:
		return reply{Latencies: s.end.Latencies()}, nil
	case r.Deregister > 0:
		return reply{}, s.end.Deregister(min(r.Deregister, maxThreads))
	}
	return reply{}, errors.New("a request for nothing that this version knows")
}

func (s *server) open(ctx context.Context, r openRequest) (reply, error) {
	if s.end != nil {
		return reply{}, errOrder
	}
	if r.QueuePairs < 1 || r.QueuePairs > maxQueuePairs {
		return reply{}, fmt.Errorf("%d queue pairs: from 1 to %d can be asked for", r.QueuePairs, maxQueuePairs)
	}
	if !end.Carries(r.Connection, r.Verb) {
		return reply{}, fmt.Errorf("%q over %q: that cannot be asked for", r.Verb, r.Connection)
	}
	if r.Depth < 1 || r.Depth > end.MaxDepth {
		return reply{}, fmt.Errorf("%d messages under way: from 1 to %d can be asked for", r.Depth, end.MaxDepth)
	}
	if r.Reads < 0 || r.Reads > end.MaxReads {
		return reply{}, fmt.Errorf("%d reads under way: at most %d can be asked for", r.Reads, end.MaxReads)
	}
	if r.Pieces < 1 || r.Pieces > end.MaxPieces || r.Inline < 0 || r.Inline > end.MaxInline || r.RateLimit < 0 {
		return reply{}, fmt.Errorf("messages of %d pieces, %d bytes inline, %d bytes a second: that cannot be asked for", r.Pieces, r.Inline, r.RateLimit)
	}
	if err := s.prepare(ctx, r); err != nil {
		return reply{}, err
	}
	var err error
	if s.end, err = end.Open(r.config(s.config)); err != nil {
		return reply{}, err
	}
	device, place := s.end.Device(), s.end.Place()
	return reply{Device: &device, Place: &place}, nil
}

// prepare has what the connection manager takes, where the other side wants that. A child's is there: its parent has it.
func (s *server) prepare(ctx context.Context, r openRequest) (err error) {
	switch {
	case !r.Manager || s.config.child():
		return nil
	case !rdma.CanLoad:
		return fault.Lacksf("the run connects by the connection manager (--rdma-cm), which takes a library, and this peer can load none; start it as umemstress peer --rdma-cm")
	}
	s.modules, err = module.Load(ctx, end.Modules())
	return err
}

func (s *server) register(ctx context.Context, r registerRequest) (reply, error) {
	if s.region != nil {
		return reply{}, errOrder
	}
	if r.Bytes < 1 || r.Bytes > maxRegion || r.Regions < 1 || r.Bytes%int64(r.Regions) != 0 {
		return reply{}, fmt.Errorf("a region of %d bytes in %d parts: from 1 to %d bytes can be asked for", r.Bytes, r.Regions, int64(maxRegion))
	}
	var err error
	if s.region, err = s.mapped(r); err != nil {
		return reply{}, err
	}
	region, err := s.end.Register(ctx, s.region.Bytes, r.Regions)
	if err == nil && s.config.child() {
		// Reclaim leaves pages alone that two have mapped (madvise_cold_or_pageout_pte_range, mm/madvise.c), and
		// the other one is to strip them. They stay pinned.
		err = s.region.Close()
	}
	return reply{Region: &region}, err
}

// mapped maps a region of this process's own or, for who started it as a child, a file's.
func (s *server) mapped(r registerRequest) (*memory.Region, error) {
	switch {
	case !s.config.child() && r.Huge != 0:
		if r.Huge != memory.Huge2M && r.Huge != memory.Huge1G || r.Bytes%r.Huge != 0 {
			return nil, fmt.Errorf("%d bytes in huge pages of %d: that cannot be asked for", r.Bytes, r.Huge)
		}
		return memory.MapHuge(int(r.Bytes), r.Huge)
	case !s.config.child():
		return memory.MapAnonymous(int(r.Bytes))
	}
	f, err := os.OpenFile(r.Path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return memory.MapFile(f, r.Offset, int(r.Bytes))
}

func (s *server) fill(r payload.Recipe) (reply, error) {
	if s.config.child() {
		return reply{}, errOrder
	}
	if err := r.Fill(s.region.Bytes); err != nil {
		return reply{}, err
	}
	return reply{Sum: sum(s.region.Bytes)}, nil
}

func (s *server) close() error {
	if s.end == nil {
		return s.modules.Close()
	}
	err := s.end.Close() // before what it has registered
	return errors.Join(err, s.region.Close(), s.modules.Close())
}
