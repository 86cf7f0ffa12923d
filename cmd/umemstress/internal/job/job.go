// Package job is the command job: one rank of many, which srun, mpirun or Kubernetes has started. Ranks
// 2k and 2k+1 are a pair, one run with its peer.
package job

import (
	"context"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/meeting"
	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/record"
)

// Run is what run's flags ask for.
type Run struct {
	Peer     remote.Config // of the rank that is the peer
	HandOver func() error  // goes on as another program, where the device wants it
	// Do does the run. Without a verdict there is no record, and the reason says why.
	Do func(ctx context.Context, output, peer string) (r *record.Record, code int, reason string)
}

// Prepare checks run's flags before anything is done for them.
type Prepare func(args []string, stderr io.Writer) (Run, error)

// Command is umemstress job.
func Command(prepare Prepare) *cobra.Command {
	r := rank{}
	var directory, format string
	var ranks int
	cmd := &cobra.Command{
		Use:   "job --dir DIR [flags] [-- RUN-FLAGS]",
		Short: "Be one of many ranks of srun, mpirun or a Kubernetes Job: pairs of hosts, one table",
		Long: `Does runs with a peer on many hosts at once. Which rank this is, and of how many, is taken
from the environment: of Open MPI, of what speaks PMI, of Slurm, or of an indexed Job of
Kubernetes, with --ranks. Ranks 0 and 1, 2 and 3 and so on are pairs: the even one does
'umemstress run' with the flags that follow --, the odd one is its peer, on the device that
these flags name. They meet through a directory that all ranks see: the odd one listens on
a TCP port, and lets in who has the token that it has written there.

Each rank leaves DIR/rank-N.json, and an even one its evidence in DIR/rank-N. Rank 0 prints
one table of all, and its exit code is that of the worst. Other ranks print errors alone, and
exit with 0 once their outcome is in DIR: a launcher ends all ranks where one does not.`,
		Example: `  srun --nodes 4 --ntasks-per-node 1 umemstress job --dir /shared/job1 -- --preset quick
  mpirun -n 4 --map-by node umemstress job --dir /shared/job1 -- --ib-dev mlx5_0 -q 4`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return exit.Usagef("unexpected argument %q: run's own flags follow --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.check(directory, format, ranks); err != nil {
				return err
			}
			var err error
			if r.run, err = prepare(args, cmd.ErrOrStderr()); err != nil {
				return err
			}
			if r.number, r.size, err = rankOf(os.Environ(), ranks); err != nil {
				return err
			}
			if directory, err = filepath.Abs(directory); err != nil {
				return err
			}
			r.dir = meeting.Directory(directory)
			if err := r.run.HandOver(); err != nil { // before anything is claimed, as it begins anew
				return err
			}
			signals.OutlivePipes() // what the run did to this machine is undone first
			return r.do(cmd.Context(), cmd.OutOrStdout(), format)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&directory, "dir", "", "a new directory that all ranks see, such as on NFS or Lustre; it is made")
	flags.IntVar(&ranks, "ranks", 0, "how many ranks there are, where the environment does not tell: the completions of a Kubernetes Job")
	flags.StringVar(&r.address, "address", "", "address of this host that the other rank reaches, where an odd rank listens (default: this host's name, and all addresses)")
	flags.DurationVar(&r.wait, "wait", time.Minute, "how long the others may take to start")
	flags.DurationVar(&r.gather, "gather", 10*time.Minute, "how long rank 0 waits for the others to end, once its own run is over")
	flags.StringVar(&format, "format", "text", "form of rank 0's table on stdout: text or json")
	return cmd
}

// check refuses what no rank can do.
func (r *rank) check(directory, format string, ranks int) error {
	_, notAnIP := netip.ParseAddr(r.address)
	switch {
	case directory == "":
		return exit.Usagef("--dir: name a new directory that all ranks see")
	case format != "text" && format != "json":
		return exit.Usagef("--format %s: choose text or json", format)
	case ranks < 0 || ranks > maxRanks:
		return exit.Usagef("--ranks %d: give the number of ranks, at most %d", ranks, maxRanks)
	case r.wait <= 0:
		return exit.Usagef("--wait %v: give a duration, such as 60s", r.wait)
	case r.gather <= 0:
		return exit.Usagef("--gather %v: give a duration, such as 10m", r.gather)
	case notAnIP != nil && strings.ContainsAny(r.address, ":/ "):
		return exit.Usagef("--address %s: give an address or a name of this host, without a port", r.address)
	}
	return nil
}

// BridgeCommand is what a run starts as its peer: it has what the run says go to the other rank.
func BridgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    bridgeName + " FILE",
		Short:  "Connect standard input and output to the rank that FILE tells of",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return meeting.Bridge(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

const bridgeName = "job-bridge"
