package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/logfile"
	"umemstress/workload"
	"umemstress/workload/report"
	"umemstress/workload/triage"
)

func newTriageCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "triage FILE|-",
		Short: "Say whether a kernel's log tells of this bug, and what to do now",
		Long: `Reads a log of any kernel: a console, dmesg, vmcore-dmesg, pstore, syslog, journalctl in any
text form (-o export and -o json, too), or a mail with one in it, wrapped and quoted. It may be
cut off, without times, and of several boots; gzip, bzip2 and zstd are unpacked. - is standard
input:

  journalctl -k -b -1 -o export | umemstress triage -

It says whether the log tells of this bug and how surely, which lines say so, which program and
holder, which fixes the kernel lacks, what reproduces it here, and what to do meanwhile. The
answer comes from the kernel's words, never from its version.

Exit code: that of the verdict which the log bears out, 14 crashed, 12 data-lost, 11 reproduced
or 10 exposed, where it is certain or likely; 4 where it is only possible or nothing was found; 0
where the log is of another bug.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageErrorf("triage takes one log, or - for standard input, not %d arguments", len(args))
			}
			if args[0] == "" {
				return usageErrorf("triage: the name of the log is empty; name a file, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			d, err := diagnose(cmd.Context(), args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			if format == "json" {
				err = printJSON(cmd.OutOrStdout(), d)
			} else {
				err = report.Diagnosis(cmd.OutOrStdout(), d)
			}
			if err != nil {
				return err
			}
			if code := d.Status(); code != exitClean {
				return statusError(code)
			}
			return nil
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// diagnose reads the log. It is left alone when ctx ends: a pipe may never come to its end.
func diagnose(ctx context.Context, path string, stdin io.Reader) (*triage.Diagnosis, error) {
	type result struct {
		d   *triage.Diagnosis
		err error
	}
	done := make(chan result, 1)
	go func() {
		d, err := read(ctx, path, stdin)
		done <- result{d, err}
	}()
	select {
	case r := <-done:
		return r.d, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func read(ctx context.Context, path string, stdin io.Reader) (*triage.Diagnosis, error) {
	in, name := stdin, "standard input"
	if path != "-" {
		f, err := logfile.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, name = f, path
	} else if f, ok := stdin.(*os.File); ok && isTerminal(f) {
		return nil, usageErrorf("triage -: standard input is a terminal; give it a log, as in: journalctl -k -o export | umemstress triage -")
	}
	plain, err := logfile.Unpack(in, name)
	if err != nil {
		return nil, err
	}
	d, err := triage.Read(ctx, plain, workload.Scenarios())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return d, nil
}
