// Package peering is the command peer: the other host of a run.
package peering

import (
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/handover"
	"umemstress/rdma"
	"umemstress/workload/holder/umem/remote"
)

// Command is umemstress peer, of this version of the program.
func Command(version string, prepare Prepare, noArguments cobra.PositionalArgs) *cobra.Command {
	config := remote.Config{Version: version}
	does := victim{prepare: prepare, own: &config}
	var manager bool
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "Be the other host of a run --peer, over stdin and stdout",
		Long: `Has an RDMA device of this host move the bytes of a run on another one: the
anonymous region is here, the file's is there. That run starts it, as its --peer says, and
it does what comes on its standard input until that ends. For a run --victim remote it is the
other way round: this host does the run, has the file, and sends the evidence. Nothing listens:
what starts it, such as ssh, says who may.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				return exit.Usagef("umemstress peer is started by a run on another host: umemstress run --peer 'ssh THIS-HOST umemstress peer'")
			}
			if config.Port < 0 {
				return exit.Usagef("--ib-port %d: ports count from 1", config.Port)
			}
			if !slices.Contains(rdma.Backends(), rdma.Backend(config.Backend)) {
				return exit.Usagef("--backend %s: choose auto, uverbs or ibverbs", config.Backend)
			}
			if manager && rdma.Backend(config.Backend) == rdma.Uverbs {
				return exit.Usagef("--rdma-cm: the connection manager is a library, which --backend uverbs does without; leave one of the two out")
			}
			if err := handover.For(version, config.Device, rdma.Backend(config.Backend), manager); err != nil {
				return err
			}
			config.Run = does.run
			return remote.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), config)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&config.Device, "ib-dev", "d", "", "RDMA device (default: the first with an active port)")
	flags.IntVarP(&config.Port, "ib-port", "i", 0, "port of the device (default: the first active one)")
	flags.IntVarP(&config.GIDIndex, "gid-index", "x", rdma.AutoGID, "index of the port's GID (default: chosen)")
	flags.StringVar(&config.Backend, "backend", string(rdma.AutoBackend), "how verbs reach the device: auto, uverbs (soft-RoCE alone) or ibverbs (rdma-core's library)")
	flags.StringVarP(&does.output, "output", "o", "", "directory for the evidence of a run --victim remote, until the other host has all of it (default: ./umemstress-TIME)")
	flags.BoolVarP(&manager, "rdma-cm", "R", false, "be ready for a run that connects by the connection manager (--rdma-cm)")
	return cmd
}
