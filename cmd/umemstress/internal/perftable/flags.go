// Package perftable has the flags that ask for perftest's tables below the report of a run.
package perftable

import (
	"io"

	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload"
	"umemstress/workload/record"
	"umemstress/workload/report"
)

// Flags ask for the tables.
type Flags struct{ perftest, gbits bool }

// Register adds the flags.
func (f *Flags) Register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.perftest, "perftest", false, "end the text report with the tables of perftest's ib_write_bw and ib_write_lat")
	flags.BoolVar(&f.gbits, "report_gbits", false, "the same with bandwidths in Gb/s, as perftest's option of this name")
}

func (f *Flags) wanted() bool { return f.perftest || f.gbits }

// Check refuses what has no text report of one run.
func (f *Flags) Check(format, preset string) error {
	flag := "perftest"
	if f.gbits {
		flag = "report_gbits"
	}
	switch {
	case !f.wanted():
		return nil
	case format != "text":
		return exit.Usagef("--%s: the table is of the text report, and run.json has its figures in traffic; leave --format %s out", flag, format)
	case preset == workload.Everything:
		return exit.Usagef("--%s: the preset everything tells the verdicts alone; leave it out", flag)
	}
	return nil
}

// Print writes the tables, if they are asked for.
func (f *Flags) Print(w io.Writer, r *record.Record) error {
	if !f.wanted() {
		return nil
	}
	return report.Perftest(w, r, f.gbits)
}
