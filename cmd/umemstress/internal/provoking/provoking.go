// Package provoking is the command provoke: whom, whether the user means it, and what was done.
package provoking

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/provoke"
)

// Schema names the form of the result in JSON.
const Schema = "umemstress.provoke/v1"

type flags struct {
	pid     int
	path    string
	seconds int
	by      string
	yes     bool
	format  string
}

// Command is provoke; noArguments refuses arguments.
func Command(noArguments cobra.PositionalArgs) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "provoke --pid PID",
		Short: "Bring somebody else's program to the point where its pinned pages lose data",
		Long: `Does to a program from outside, at once, what memory pressure and the flusher do in
time: writes back the files that it has mapped shared and writable, and has reclaim
take their pages from it. Pages that it pins stay; on a kernel that has the bug they
lose their buffers, and what the program's device or direct read writes to them from
then on is lost at their release, or the kernel dies of it. 'umemstress observe'
beside it tells. Files in memory (tmpfs, hugetlbfs) are left alone. --by memcg takes the
page cache of the program's memory cgroup, that of the other processes in it, too.

Without --yes it says what it would touch, and does nothing. Start it while the
program pins; a program that pins for moments, as for direct reads, takes --duration.

Exit codes: 0 done, 1 failed, 2 usage, 3 the host lacks something.`,
		Example: `  umemstress provoke --pid $(pgrep -o ib_write_bw) --yes
  umemstress provoke --pid $(pgrep -o fio) --path /data/pool --duration 10 --yes`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().IntVar(&f.pid, "pid", 0, "the process")
	cmd.Flags().StringVar(&f.path, "path", "", "only this file, or those in this directory, as the process has them mapped")
	cmd.Flags().IntVarP(&f.seconds, "duration", "D", 0, "go on for so many seconds (default: once)")
	cmd.Flags().StringVar(&f.by, "by", string(provoke.Madvise), "how reclaim is had to take the pages: madvise (the program's own, Linux 5.10) or memcg (the page cache of its memory cgroup, Linux 5.19 or cgroups of version 1)")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it")
	cmd.Flags().StringVar(&f.format, "format", "text", "form of the result on stdout: text or json")
	return cmd
}

func (f *flags) check() error {
	switch {
	case f.format != "text" && f.format != "json":
		return exit.Usagef("--format %s: choose text or json", f.format)
	case f.by != string(provoke.Madvise) && f.by != string(provoke.Memcg):
		return exit.Usagef("--by %s: choose %s or %s", f.by, provoke.Madvise, provoke.Memcg)
	case f.pid == 0:
		return exit.Usagef("which process? Give --pid")
	case f.pid < 0 || f.pid > math.MaxInt32:
		return exit.Usagef("--pid %d: give the number of a process", f.pid)
	case f.seconds < 0 || f.seconds > int(math.MaxInt64/time.Second):
		return exit.Usagef("--duration %d: give the seconds to go on for, at most %d", f.seconds, math.MaxInt64/time.Second)
	case f.path != "" && !filepath.IsAbs(f.path):
		return exit.Usagef("--path %s: give an absolute path, as the program's maps have it", f.path)
	}
	return nil
}

func (f *flags) run(ctx context.Context, out io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	options := provoke.Options{PID: uint32(f.pid), Path: f.path, By: provoke.Way(f.by), For: time.Duration(f.seconds) * time.Second}
	program, err := provoke.Hold(options)
	if err != nil {
		return err
	}
	defer program.Close()
	if !f.yes {
		if err := f.print(out, program.Result()); err != nil {
			return err
		}
		return exit.Usagef("nothing was done: on a kernel that has the bug, process %d may lose what it writes to these files, or this machine die; --yes does it", f.pid)
	}
	result, err := program.Do(ctx)
	return errors.Join(f.print(out, result), err)
}

// report is the result in JSON.
type report struct {
	Schema string `json:"schema"`
	PID    int    `json:"pid"`
	Done   bool   `json:"done"` // false: without --yes
	provoke.Result
}

func (f *flags) print(out io.Writer, r provoke.Result) error {
	if f.format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report{Schema, f.pid, f.yes, r})
	}
	_, err := io.WriteString(out, r.Text())
	return err
}
