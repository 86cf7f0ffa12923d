package remote

import (
	"context"
	"os/exec"

	"umemstress/workload/holder/umem/end"
	"umemstress/workload/record"
)

// Open starts the peer by a command, as a shell understands it, and has it open its device.
func Open(ctx context.Context, command string, c end.Config) (*End, error) {
	p := &End{line: line{command: exec.Command("sh", "-c", command)}}
	return p.open(ctx, func(cmd *exec.Cmd) (func() error, error) {
		cmd.WaitDelay = endBound
		return cmd.Wait, cmd.Start()
	}, c)
}

// Peer is the other host.
func (p *End) Peer() *record.Peer {
	d := p.device
	return &record.Peer{Host: p.line.host, Name: d.Name, Driver: d.Driver, Backend: d.Backend, BackendWhy: d.BackendWhy}
}
