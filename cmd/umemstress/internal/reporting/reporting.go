// Package reporting is the command report-bug: a directory in, the mail to the kernel's maintainers
// out.
package reporting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/journal"
	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/report/mail"
)

type flags struct {
	version string
	format  string
	output  string
}

// Command is report-bug, of the program of that version.
func Command(version string) *cobra.Command {
	f := flags{version: version}
	cmd := &cobra.Command{
		Use:   "report-bug DIR",
		Short: "Write the mail to the kernel's maintainers of what a run or an observer saw",
		Long: `Writes the mail that a maintainer of the kernel wants: the symptom first, then what
was done, a command that shows it again, what was counted and by whom, stacks, the
kernel's own words, which commits are near it, and what is not known. Its To and Cc are
the lists that MAINTAINERS has for the file system and for who pins.

DIR is the evidence of a run ('umemstress run', 'umemstress lab run') or the journal of
an observer ('umemstress observe --journal'). A log of the kernel beside it, such as a
vmcore-dmesg.txt, is read, too. It may come from another machine.

Read the mail before you send it, and add what you know: the workload that met it, the
kernel's configuration, whether mainline does it. A run that ended clean, refused or
inconclusive is no mail, but where nobody woke who waited for pages (clean), or where an
RDMA device brought other bytes than were sent (inconclusive).

Exit codes: 0 the mail was written, 1 failed, 2 usage, also where there is nothing to
report.`,
		Example: `  umemstress report-bug umemstress-20261128-084145
  umemstress report-bug /other/disk/journal --output mail.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Usagef("report-bug takes one directory, the evidence of a run or a journal, not %d arguments", len(args))
			}
			if args[0] == "" {
				return exit.Usagef("report-bug: the name of the directory is empty; name the evidence of a run or a journal")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), cmd.OutOrStdout(), args[0]) },
	}
	cmd.Flags().StringVar(&f.format, "format", "text", "form of the result: text or json")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "write it to this new `FILE` (default: stdout)")
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)); err != nil {
		panic(err) // the flag was just made
	}
	return cmd
}

func (f *flags) run(ctx context.Context, stdout io.Writer, dir string) error {
	if f.format != "text" && f.format != "json" {
		return exit.Usagef("--format %s: choose text or json", f.format)
	}
	m, err := evidence.Interruptible(ctx, func() (*mail.Report, error) { return f.report(ctx, dir) })
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if f.format == "json" {
		encoder := json.NewEncoder(&text)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(m)
	} else {
		err = m.Text(&text)
	}
	if err != nil {
		return err
	}
	if f.output != "" {
		return write(f.output, text.Bytes())
	}
	_, err = stdout.Write(text.Bytes())
	return err
}

// report is that of the directory, whatever it holds.
func (f *flags) report(ctx context.Context, dir string) (*mail.Report, error) {
	ofRun, ofJournal, err := holds(dir)
	switch {
	case err != nil:
		return nil, err
	case ofRun && ofJournal:
		return nil, exit.Usagef("%q: it holds both a run (%s) and a journal (%s); move one of them to a directory of its own", dir, evidence.RunFile, journal.EventsFile)
	case ofRun:
		return f.ofRun(ctx, dir)
	case ofJournal:
		return f.ofJournal(ctx, dir)
	}
	return nil, exit.Usagef("%q: it holds neither a run (%s) nor a journal (%s); name the evidence of 'umemstress run' or what 'umemstress observe --journal' left", dir, evidence.RunFile, journal.EventsFile)
}

// holds says what there is in a directory.
func holds(dir string) (ofRun, ofJournal bool, err error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return false, false, exit.Usagef("%q: there is no such directory; name the evidence of a run or a journal", dir)
	case err != nil:
		return false, false, fmt.Errorf("look for evidence: %w", err)
	case !info.IsDir():
		return false, false, exit.Usagef("%q: it is no directory; name the directory that 'umemstress run' or 'umemstress observe --journal' wrote", dir)
	}
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	return there(evidence.RunFile), there(journal.EventsFile), nil
}

// ofRun is the report of a run, judged again.
func (f *flags) ofRun(ctx context.Context, dir string) (*mail.Report, error) {
	r, err := evidence.Reexamine(ctx, dir, workload.Scenarios().Facts, quiet())
	if err != nil {
		return nil, err
	}
	death, _ := r.Blamed()
	quotes, err := quotes(ctx, dir, death.Said)
	if err != nil {
		return nil, err
	}
	m, err := mail.FromRun(r, quotes)
	return m, of(dir, err)
}

// quotes are what the logs in a directory say, of that death.
func quotes(ctx context.Context, dir, said string) ([]mail.Quote, error) {
	quoter := mail.Quoter{Said: said}
	ours := false // what this program writes quotes others
	begin := func(name string) {
		ours = slices.Contains([]string{".json", ".jsonl", ".html"}, filepath.Ext(name))
		quoter.Begin(name)
	}
	add := func(line string) {
		if !ours {
			quoter.Add(line)
		}
	}
	if err := evidence.Logs(ctx, dir, begin, add); err != nil {
		return nil, err
	}
	return quoter.Quotes(), nil
}

// of names the directory that there is nothing to report of.
func of(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%q: %w", dir, err)
}

// write makes a file of the mail, or none.
func write(path string, text []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exit.Usagef("--output %s: it exists, and would be overwritten; name a new file", path)
	}
	if err != nil {
		return exit.Usagef("--output: %w", err)
	}
	_, err = out.Write(text)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the mail: %w", err), os.Remove(path))
	}
	return nil
}
