package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"umemstress/workload/report/ci"
)

// ciReports are the files for CI systems that the flags ask for.
type ciReports struct {
	wanted       []string // junit=FILE, ktap=FILE
	inconclusive string
	files        []ciFile
	began        time.Time
}

type ciFile struct {
	*os.File
	write func(ci.Report, io.Writer) error
}

func (r *ciReports) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&r.wanted, "report", nil, "also write the result for a CI system, `FORMAT=FILE`: junit or ktap; may be repeated")
	flags.StringVar(&r.inconclusive, "report-inconclusive", "skip", "what an inconclusive result is in a report: skip or failure")
}

// open makes the files, so that one that cannot be made ends the command before its work.
func (r *ciReports) open() error {
	r.began = time.Now()
	if _, err := r.outcome(); err != nil {
		return err
	}
	for _, wanted := range r.wanted {
		format, path, found := strings.Cut(wanted, "=")
		write := map[string]func(ci.Report, io.Writer) error{"junit": ci.Report.JUnit, "ktap": ci.Report.KTAP}[format]
		if !found || path == "" || write == nil {
			return usageErrorf("--report %q: give junit=FILE or ktap=FILE", wanted)
		}
		f, err := os.Create(path)
		if err != nil {
			return usageErrorf("--report: %v", err)
		}
		r.files = append(r.files, ciFile{f, write})
	}
	return nil
}

// outcome is that of an inconclusive result.
func (r *ciReports) outcome() (ci.Outcome, error) {
	switch r.inconclusive {
	case "skip":
		return ci.Skipped, nil
	case "failure":
		return ci.Failed, nil
	}
	return 0, usageErrorf("--report-inconclusive %q: choose skip or failure", r.inconclusive)
}

// save writes the report that make gives into all files.
func (r *ciReports) save(build func(inconclusive ci.Outcome) ci.Report) error {
	if len(r.files) == 0 {
		return nil
	}
	outcome, err := r.outcome()
	if err != nil {
		return err
	}
	report := build(outcome)
	var errs []error
	for _, f := range r.files {
		if err := errors.Join(f.write(report, f), f.Close()); err != nil {
			errs = append(errs, fmt.Errorf("--report: %w", err))
		}
	}
	return errors.Join(errs...)
}

// fromHere is a path as a CI system finds it again: relative, where it lies below the
// current directory.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
