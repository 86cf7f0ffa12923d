package main

import (
	"io"
	"os"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab"
)

func newLabExecCommand() *cobra.Command {
	var flags guestFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] -- PROGRAM [ARG]...",
		Short: "Run any program of the host in a guest with a soft-RoCE device",
		Long: `Boots the kernel in a QEMU guest and runs the program there as root, in the
current directory, with the RDMA device rxe0 up. The guest sees the host's file
tree; what it writes goes to a scratch disk and is gone with it, except in the
directories named with --share. TMPDIR is a directory of the scratch disk's own
ext4 file system. The host's /run and /dev/shm are not seen. Modules that are not
loaded can be had with modprobe, such as rdma_ucm for the connection manager.

The program reads this command's standard input, which is read ahead of it: in a
loop over lines give it </dev/null. At a terminal the program has one, too: every
key is its own, Ctrl-C as well, and Ctrl-] three times within a second ends a guest
that answers to none. In the background of a terminal it has no input.

` + labExitCodes,
		Example: `  umemstress lab exec -- rdma link
  umemstress lab exec -- bash
  umemstress lab exec --kernel ~/linux -- uname -r
  umemstress lab exec --kernel 6.1 -- sh -c 'ib_write_bw -d rxe0 & sleep 1; ib_write_bw -d rxe0 localhost'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Usagef("which program? It follows --, as in: umemstress lab exec -- rdma link")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := flags.config()
			if err != nil {
				return err
			}
			config.Program = args
			setInput(&config, cmd.InOrStdin(), cmd.OutOrStdout())
			return flags.runGuest(cmd, config)
		},
	}
	flags.register(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&flags.noDevice, "no-device", false, "leave the guest without an RDMA device")
	return cmd
}

// setInput gives the program of the guest what this command reads. The terminal is passed
// on only as both input and output.
func setInput(config *lab.Config, in io.Reader, out io.Writer) {
	config.Stdin = in
	if !lab.IsTerminal(in) {
		return
	}
	terminal := in.(*os.File)
	switch {
	case !lab.InForeground(terminal):
		config.Stdin = nil
	case lab.IsTerminal(out):
		config.Terminal = terminal
	}
}
