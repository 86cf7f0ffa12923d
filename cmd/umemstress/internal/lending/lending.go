// Package lending is the command late-reads: a directory for a virtual machine of the user's own.
package lending

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/late"
)

// Command is late-reads.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "late-reads DIR",
		Short: "Serve a virtual machine a share whose reads wait, for --holder 9p before Linux 6.8",
		Long: `Mounts on an empty directory what a run with --holder 9p reads from within a virtual
machine whose kernel pins the pages of such reads over virtio alone, as those before
Linux 6.8 do: a file whose reads wait until the run lets them go. Share it by 9p, with
the tag ` + late.Tag + `; it has to be there before QEMU starts:

  -fsdev local,id=late,path=DIR,security_model=none
  -device virtio-9p-pci,fsdev=late,mount_tag=` + late.Tag + `

The guests of 'umemstress lab' have it by themselves. It takes root and /dev/fuse, and
goes on until a signal ends it. However it ends, the mount is gone then, and reads that
wait fail.

Exit codes: 1 failed, 2 usage, 3 the host lacks something, 130 by SIGINT or SIGTERM.`,
		Example: `  umemstress late-reads /run/late`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return exit.Usagef("late-reads takes one directory, which is there and empty")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return serve(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
}

// serve returns once the context ends, with its error.
func serve(ctx context.Context, out io.Writer, dir string) (err error) {
	if err := late.CheckDirectory(dir); err != nil {
		return err
	}
	server, err := late.Serve()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := server.Attach(dir); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "late reads are served at %s\n", dir); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
