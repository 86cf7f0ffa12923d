package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/machine"
)

// network is what a guest has to do with another one.
type network struct {
	proto.Network
	mac  string
	wire *os.File // this guest's end
	peer *os.File // the end of the port to its peer; nil: it has none
}

// The guests of a pair.
const (
	FirstHost, firstAddress, firstMAC    = "host1", "10.77.0.1/24", "52:54:00:4d:00:01"
	SecondHost, secondAddress, secondMAC = "host2", "10.77.0.2/24", "52:54:00:4d:00:02"
)

// PeerCommand is what a program of the first guest of RunPair talks to the program of the second one
// by, as a shell understands it: from its standard input to that of the other, and back. It ends
// at the end of its input.
const PeerCommand = "exec 3<>" + proto.PeerDevice + "; cat <&3 & there=$!; exec >&-; cat >&3; kill $there 2>/dev/null"

// hearsOfDeath is how long the first guest's program may take to end by itself when the second guest's kernel has died.
const hearsOfDeath = 15 * time.Second

// RunPair boots two guests on one network, each with the link rxe0 over it. The result is that
// of the first one's program, with whose end the second guest ends, too. The second one's program
// speaks with PeerCommand of the first one by its standard input and output, and has neither of its own. The death of the
// second one's kernel is an Oops of the result where the first one's program has ended after it.
func RunPair(ctx context.Context, first, second Config) (Result, error) {
	wire, otherWire, err := socketPair("the network")
	if err != nil {
		return Result{}, err
	}
	here, there, err := socketPair("the peer")
	if err != nil {
		return Result{}, errors.Join(err, wire.Close(), otherWire.Close())
	}
	first.network = &network{proto.Network{Host: FirstHost, Address: firstAddress, HasPeer: true}, firstMAC, wire, there}
	second.network = &network{proto.Network{Host: SecondHost, Address: secondAddress}, secondMAC, otherWire, nil}
	second.Stdin, second.Stdout = here, here

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var other sync.WaitGroup
	var died *CrashError
	ended := make(chan struct{}) // of the first one
	other.Go(func() {
		defer here.Close()
		defer otherWire.Close()
		result, err := Run(ctx, second)
		if died = result.Oops; died == nil {
			errors.As(err, &died)
		}
		switch {
		case ctx.Err() != nil: // the first one's program has ended
			died = nil
		case died != nil:
			select { // it hears of it by the end of the line to its peer
			case <-ended:
			case <-time.After(hearsOfDeath):
				cancel(fmt.Errorf("the second guest: %w", died))
			}
		case err != nil:
			cancel(fmt.Errorf("the second guest: %w", err))
		case result.ExitCode != 0: // of which the first one's program hears, and goes by it
			host.Log(second.Log).Warnf("lab: the second guest's program ended with %d before the first one's", result.ExitCode)
		}
	})
	result, err := Run(ctx, first)
	close(ended)
	cause := context.Cause(ctx)
	cancel(nil)
	other.Wait()
	// Those that its QEMU got are closed already.
	_, _ = wire.Close(), there.Close()
	if errors.Is(err, context.Canceled) && cause != nil && !errors.Is(cause, context.Canceled) {
		return Result{}, cause
	}
	if err == nil && result.Oops == nil && died != nil {
		result.Oops = &CrashError{Reason: "the second one's: " + died.Reason, Serial: died.Serial}
	}
	return result, err
}

// spec is what init is told.
func (n *network) spec() *proto.Network {
	if n == nil {
		return nil
	}
	return &n.Network
}

// devices are those of the machine.
func (n *network) devices(h *hostSide) []machine.Device {
	if n == nil {
		return nil
	}
	devices := []machine.Device{machine.Wire{FD: h.lend(n.wire), MTU: proto.NetworkMTU, MAC: n.mac}}
	if n.peer != nil {
		devices = append(devices, machine.Port{Name: proto.PortPeer, FD: h.lend(n.peer)})
	}
	return devices
}
