package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/check"
	"umemstress/cmd/umemstress/internal/devicecheck"
	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/handover"
	"umemstress/rdma"
)

// checkFlags are the flags of check. All but format are about a device that is tried.
type checkFlags struct {
	format  string
	backend string
	output  string
	device  devicecheck.Config
}

func newCheckCommand() *cobra.Command {
	var flags checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what this host allows: devices, privileges, probes, file systems, the lab",
		Long: `Looks at this host and says what can be done on it, what is missing, what that
costs and how to get it. It changes nothing and needs no privilege. It does not say
whether data is lost on this kernel: only a run can tell.

With --device it tries that RDMA device: every object and operation that a run uses, over
anonymous memory, in seconds. It says which step failed and why, and keeps what it saw, the
device's firmware and the libraries in a file, to be sent with a report.

Exit codes: 0 something can be done here (a run or the lab), or all steps went well;
1 a step failed, 2 usage, 3 nothing can be done, or a step failed for what the host
lacks, 130 interrupted.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.validate(cmd.Flags()); err != nil {
				return err
			}
			if flags.device.Device != "" {
				if err := handover.For(version, flags.device.Device, flags.device.Backend, false); err != nil {
					return err
				}
				return flags.tryDevice(cmd.Context(), cmd.OutOrStdout())
			}
			return flags.look(cmd.OutOrStdout())
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// deviceFlags mean something with --device alone.
var deviceFlags = []string{"backend", "ib-port", "gid-index", "output-file"}

func (f *checkFlags) register(flags *pflag.FlagSet) {
	addFormatFlag(flags, &f.format)
	flags.StringVar(&f.device.Device, "device", "", "try the RDMA device of this name")
	flags.StringVar(&f.backend, "backend", string(rdma.AutoBackend), "how verbs reach the device: auto, uverbs (soft-RoCE alone) or ibverbs (rdma-core's library)")
	flags.IntVar(&f.device.Port, "ib-port", 0, "port of the device (default: the first that is active)")
	flags.IntVar(&f.device.GIDIndex, "gid-index", rdma.AutoGID, "index of the port's GID (default: chosen)")
	flags.StringVar(&f.output, "output-file", "", "a new file for what was seen (default umemstress-check-DEVICE-DATE.json)")
}

func (f *checkFlags) validate(flags *pflag.FlagSet) error {
	for _, name := range deviceFlags {
		if flags.Changed(name) && f.device.Device == "" {
			return exit.Usagef("--%s is about a device that is tried: give --device NAME", name)
		}
	}
	f.device.Backend, f.device.Tool = rdma.Backend(f.backend), version
	if !slices.Contains(rdma.Backends(), f.device.Backend) {
		return exit.Usagef("--backend %s: choose one of %v", f.backend, rdma.Backends())
	}
	return checkFormat(f.format)
}

// look says what the host allows.
func (f *checkFlags) look(w io.Writer) error {
	if err := handover.ForAny(version); err != nil {
		return err
	}
	document, err := check.Here()
	if err != nil {
		return err
	}
	if f.format == "json" {
		err = printJSON(w, document)
	} else {
		err = document.Text(w)
	}
	if err != nil {
		return err
	}
	return abilitiesStatus(document.Can)
}

// tryDevice tries the device, once there is a place for what it sees.
func (f *checkFlags) tryDevice(ctx context.Context, w io.Writer) error {
	kept, err := f.create(time.Now())
	if err != nil {
		return err
	}
	document := devicecheck.Run(ctx, f.device)
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	_, err = kept.Write(append(text, '\n'))
	if err := errors.Join(err, kept.Close()); err != nil {
		return err
	}
	if f.format == "json" {
		err = printJSON(w, document)
	} else if err = document.Text(w); err == nil {
		_, err = fmt.Fprintf(w, "kept in %s, to be sent with a report\n", kept.Name())
	}
	if err != nil {
		return err
	}
	return deviceStatus(ctx, document)
}

func (f *checkFlags) create(now time.Time) (*os.File, error) {
	name := f.output
	if name == "" {
		name = fmt.Sprintf("umemstress-check-%s-%s.json", filepath.Base(f.device.Device), now.Format("20060102-150405"))
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, exit.Usagef("--output-file %s exists: give a new file", name)
	}
	if err != nil {
		return nil, exit.Usagef("keep what is seen: %w; name another with --output-file", err)
	}
	return file, nil
}

func deviceStatus(ctx context.Context, d devicecheck.Document) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case d.Works():
		return nil
	case d.HostLacks():
		return exit.Status(exit.HostLacks)
	}
	return exit.Status(exit.Failed)
}

// abilitiesStatus is the exit code: only a host on which nothing can be done lacks
// something.
func abilitiesStatus(can check.Abilities) error {
	if !can.Some() {
		return exit.Status(exit.HostLacks)
	}
	return nil
}
