package devicecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// step is something to try. What it returns says what was seen.
type step struct {
	name   string
	do     func(context.Context) (string, error)
	always bool // also after another failed
	choice bool // a device may lack it, and be of use
}

// tour is what the steps make, each from what those before it made.
type tour struct {
	config Config
	facts  Facts

	device   rdma.Device
	context  *rdma.Context
	path     rdma.Path
	pd       *rdma.PD
	cq       *rdma.CQ
	pair     [2]*rdma.QP // connected with each other
	broken   [2]*rdma.QP // of which one is made to fail
	from, to *rdma.MR
	memory   [2][]byte
	sequence int // of messages with an immediate
}

func (t *tour) steps() []step {
	return []step{
		{name: "find", do: t.find},
		{name: "open", do: t.open},
		{name: "path", do: t.findPath},
		{name: "protection domain", do: t.allocPD},
		{name: "completion queue", do: t.createCQ},
		{name: "queue pairs", do: t.createQPs},
		{name: "regions", do: t.register},
		{name: "connect", do: t.connect},
		{name: "write", do: t.write},
		{name: "read", do: t.read},
		{name: "message", do: t.message},
		{name: "linked writes", do: t.writeMany},
		{name: "wrong key", do: t.writeWrong},
		{name: "many regions", do: t.registerMany},
		{name: "immediates", do: t.immediates, choice: true},
		{name: "atomics", do: t.atomics, choice: true},
		{name: "memory window", do: t.window, choice: true},
		{name: "memory window, type 2", do: t.window2, choice: true},
		{name: "re-registration", do: t.reregister, choice: true},
		{name: "dma-buf", do: t.dmabuf, choice: true},
		{name: "shared receives", do: t.shareReceives, choice: true},
		{name: "unreliable connection", do: t.unreliable, choice: true},
		{name: "datagrams", do: t.datagrams, choice: true},
		{name: "deregister", do: t.deregister},
		{name: "close", do: t.close, always: true},
	}
}

const (
	regionBytes = 2 << 20
	depth       = 128 // requests under way at most
	linked      = 64  // requests that are made known to the device at once, the last of them signaled
	wrongKey    = 0xff00
)

func (t *tour) find(context.Context) (_ string, err error) {
	t.device, err = rdma.FindDevice(rdma.Sysfs, t.config.Device)
	t.facts = factsOf(t.device)
	return t.facts.String(), err
}

func (t *tour) open(context.Context) (string, error) {
	chosen, why := t.config.Backend.Choose(t.device)
	t.facts.Backend, t.facts.BackendWhy = string(chosen), why
	var err error
	if t.context, err = rdma.OpenThrough(t.device, t.config.Backend); err != nil {
		return "", err
	}
	t.facts.Libraries, err = libraries()
	return fmt.Sprintf("through %s: %s", chosen, why), err
}

func (t *tour) findPath(context.Context) (_ string, err error) {
	t.path, err = t.context.Path(rdma.PathConfig{Port: t.config.Port, GIDIndex: t.config.GIDIndex})
	return wayOf(t.path), err
}

// wayOf is what a port is reached by: a LID on InfiniBand, a GID elsewhere and where one was asked for.
func wayOf(p rdma.Path) string {
	way := fmt.Sprintf("port %d", p.Port)
	if p.LID != 0 {
		way += fmt.Sprintf(", LID %d", p.LID)
	}
	if g := p.GID; g.Addr.IsValid() {
		way += fmt.Sprintf(", GID %d (%v, %s)", g.Index, g.Addr, g.Type)
	}
	return fmt.Sprintf("%s, MTU %d", way, p.MTU)
}

func (t *tour) allocPD(context.Context) (_ string, err error) {
	t.pd, err = t.context.AllocPD()
	return "allocated", err
}

func (t *tour) createCQ(context.Context) (_ string, err error) {
	t.cq, err = t.context.CreateCQ(4 * depth)
	return fmt.Sprintf("%d entries", 4*depth), err
}

func (t *tour) createQPs(context.Context) (string, error) {
	for _, pair := range []*[2]*rdma.QP{&t.pair, &t.broken} {
		for i := range pair {
			var err error
			if pair[i], err = t.pd.CreateQP(rdma.QPConfig{SendCQ: t.cq, MaxSend: depth, MaxRecv: depth}); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("4 of type %v, %d requests each", rdma.RC, depth), nil
}

const access = rdma.AccessLocalWrite | rdma.AccessRemoteWrite | rdma.AccessRemoteRead

func (t *tour) register(context.Context) (_ string, err error) {
	for i := range t.memory {
		if t.memory[i], err = unix.Mmap(-1, 0, regionBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
			return "", fmt.Errorf("%d bytes of memory: %w", regionBytes, err)
		}
	}
	if t.from, err = t.pd.RegisterMR(t.memory[0], access); err == nil {
		t.to, err = t.pd.RegisterMR(t.memory[1], access)
	}
	return fmt.Sprintf("2 of %d bytes, anonymous", regionBytes), err
}

func (t *tour) connect(context.Context) (string, error) {
	for _, pair := range [][2]*rdma.QP{t.pair, t.broken} {
		if err := rdma.ConnectLoopback(pair[0], pair[1], t.path); err != nil {
			return "", err
		}
	}
	return "each pair with itself, through the port", nil
}

// request is a write of the first bytes of a region to the same place of the other.
func (t *tour) request(id uint64, length int) rdma.Request {
	return rdma.Request{
		ID: id, Local: rdma.Slice{MR: t.from, Length: length},
		RemoteAddr: t.to.Addr(), RKey: t.to.RKey(), Signaled: true,
	}
}

// wait waits for the completion of one request.
func (t *tour) wait(ctx context.Context, id uint64) (rdma.Completion, error) {
	var wc [1]rdma.Completion
	if _, err := t.cq.Wait(ctx, wc[:]); err != nil {
		return wc[0], fmt.Errorf("request %d did not complete within %v: %w", id, patience, err)
	}
	if wc[0].ID != id {
		return wc[0], fmt.Errorf("a completion of request %d came where that of %d was due", wc[0].ID, id)
	}
	return wc[0], nil
}

// succeed waits for the completion of one request, which is to have succeeded.
func (t *tour) succeed(ctx context.Context, id uint64) error {
	done, err := t.wait(ctx, id)
	if err != nil {
		return err
	}
	return done.Err()
}

// write compares what arrived, byte by byte, and what is beside it.
func (t *tour) write(ctx context.Context) (string, error) {
	sizes := []int{1, 4096, regionBytes / 2}
	for id, size := range sizes {
		for i := range t.memory[0] {
			t.memory[0][i] = byte(i>>8 ^ i*7 + id + 1)
		}
		want := bytes.Clone(t.memory[1])
		copy(want, t.memory[0][:size])
		if err := t.pair[0].Post(t.request(uint64(id), size)); err != nil {
			return "", err
		}
		if err := t.succeed(ctx, uint64(id)); err != nil {
			return "", err
		}
		if !bytes.Equal(t.memory[1], want) {
			return "", fmt.Errorf("%d bytes did not arrive as they were, or others changed", size)
		}
	}
	return fmt.Sprintf("%d bytes arrived as they were, and changed no others", sizes), nil
}

// read has the bytes of one region come to the other.
func (t *tour) read(ctx context.Context) (string, error) {
	const size = regionBytes / 2
	want := bytes.Clone(t.memory[0])
	for i := range size {
		t.memory[1][i] = byte(i>>8 ^ i*5 + 1)
	}
	copy(want, t.memory[1][:size])
	r := t.request(1, size)
	r.Op = rdma.OpRead
	if err := t.pair[0].Post(r); err != nil {
		return "", err
	}
	if err := t.succeed(ctx, 1); err != nil {
		return "", err
	}
	if !bytes.Equal(t.memory[0], want) {
		return "", fmt.Errorf("%d bytes did not arrive as they were, or others changed", size)
	}
	return fmt.Sprintf("%d bytes arrived as they were, and changed no others", size), nil
}

// message sends bytes, which arrive where a receive says.
func (t *tour) message(ctx context.Context) (string, error) {
	const size, sent, received = 4096 + 1, 1, 2
	want := bytes.Clone(t.memory[1])
	copy(want[size:], t.memory[0][:size])
	if _, err := t.pair[1].PostReceives([]rdma.Receive{{ID: received, Local: rdma.Slice{MR: t.to, Offset: size, Length: 2 * size}}}); err != nil {
		return "", err
	}
	r := t.request(sent, size)
	r.Op = rdma.OpSend
	if err := t.pair[0].Post(r); err != nil {
		return "", err
	}
	got, err := t.both(ctx)
	if err != nil {
		return "", err
	}
	if n := got[received].ByteLen; n != size || !bytes.Equal(t.memory[1], want) {
		return "", fmt.Errorf("%d bytes were sent and %d are said to be received: they did not arrive as they were, or others changed", size, n)
	}
	return fmt.Sprintf("%d bytes were received as they were sent", size), nil
}

func (t *tour) writeMany(ctx context.Context) (string, error) {
	const rounds, size = 32, 4096
	list := make([]rdma.Request, linked)
	started := time.Now()
	for round := range uint64(rounds) {
		for i := range list {
			list[i] = t.request(round<<32|uint64(i), size)
			list[i].Signaled = i == linked-1
		}
		if n, err := t.pair[0].PostAll(list); err != nil {
			return "", fmt.Errorf("%d of %d linked requests were posted: %w", n, linked, err)
		}
		if err := t.succeed(ctx, list[linked-1].ID); err != nil {
			return "", err
		}
	}
	rate := rounds * linked / time.Since(started).Seconds()
	return fmt.Sprintf("%d of %d bytes, %d at once: %.0f a second", rounds*linked, size, linked, rate), nil
}

// errUnharmed is of a request that should have failed.
var errUnharmed = errors.New("a write with a key that nobody has did not fail")

// writeWrong has a request fail, whose error then tells how this device tells errors.
func (t *tour) writeWrong(ctx context.Context) (string, error) {
	before := bytes.Clone(t.memory[1])
	wrong := t.request(1, len(t.memory[0]))
	wrong.RKey ^= wrongKey
	if err := t.broken[0].Post(wrong); err != nil {
		return "", err
	}
	done, err := t.wait(ctx, 1)
	switch {
	case err != nil:
		return "", err
	case done.Err() == nil:
		return "", errUnharmed
	case !bytes.Equal(t.memory[1], before):
		return "", fmt.Errorf("a write that failed (%v) changed the memory", done.Status)
	}
	return fmt.Sprintf("refused, as is right: %v, vendor error %#x", done.Status, done.VendorErr), nil
}

func (t *tour) registerMany(context.Context) (string, error) {
	const regions, size = 256, 4096
	started := time.Now()
	var made []*rdma.MR
	for i := range regions {
		mr, err := t.pd.RegisterMR(t.memory[0][i*size:][:size], access)
		if err != nil {
			return "", fmt.Errorf("region %d of %d: %w", i+1, regions, err)
		}
		made = append(made, mr)
	}
	var errs []error
	for _, mr := range made {
		errs = append(errs, mr.Close())
	}
	each := time.Since(started) / regions
	return fmt.Sprintf("%d of %d bytes, %v to register and deregister one", regions, size, each.Round(100*time.Nanosecond)), errors.Join(errs...)
}

func (t *tour) deregister(context.Context) (string, error) {
	return "both regions", errors.Join(t.from.Close(), t.to.Close())
}

// close closes what was opened, and gives the memory back once no device can write to it.
func (t *tour) close(context.Context) (string, error) {
	var errs []error
	if t.context != nil {
		errs = append(errs, t.context.Close())
	}
	for _, mem := range t.memory {
		if mem != nil {
			errs = append(errs, unix.Munmap(mem))
		}
	}
	return "everything", errors.Join(errs...)
}
